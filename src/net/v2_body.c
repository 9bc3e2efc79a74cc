/* v2_body.c: see v2_body.h. Sizes come from the network: each is compared with what is left before it is used. */
#include "net/v2_body.h"

#include "base/checked.h"
#include "base/memory.h"
#include "config/suggest.h"
#include "model/json_field.h"
#include "net/json_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 2
#define PLACE_BYTES 48
#define LENGTH_BYTES 4 /* before each element of a binary BYTES tensor */

static const char *const output_names[RUNG_V2_OUTPUTS] = {"probabilities", "label", "level", "confidence"};

typedef struct slice {
    const char *data;
    size_t bytes;
} slice;

/* The call while it is read. */
typedef struct reader {
    const char *binary; /* what is left of it */
    size_t binary_bytes;
    size_t max_inputs;
    size_t count;              /* n */
    slice *texts[MAX_TENSORS]; /* [count] lent from the JSON or the body */
    size_t num_tensors;
    size_t first; /* which of them holds the texts */
    rung_error *error;
} reader;

const char *rung_v2_output_name(rung_v2_output output)
{
    return output_names[output];
}

void rung_v2_form_deinit(rung_v2_form *form)
{
    free(form->id);
    *form = (rung_v2_form){0};
}

/* ---- sizes ---- */

static rung_status split(const char *json_length, size_t bytes, size_t *json_bytes, rung_error *error)
{
    size_t value = 0;
    const char *at = json_length;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (!rung_mul_size(value, 10, &value) || !rung_add_size(value, (size_t)(*at - '0'), &value)) {
            break;
        }
    }
    if (*at != '\0' || at == json_length || value > bytes) {
        char shown[RUNG_QUOTED_BYTES];
        return rung_fail(error, RUNG_FORMAT,
                         "Inference-Header-Content-Length is '%s'; it must be a number up to %zu, the body's bytes",
                         rung_shorten(json_length, strlen(json_length), shown), bytes);
    }
    *json_bytes = value;
    return RUNG_OK;
}

/* A parameter of a tensor, an output or the call; NULL: none. */
static const json_t *parameter(const json_t *object, const char *name)
{
    return json_object_get(json_object_get(object, "parameters"), name);
}

static rung_status check_parameters(const reader *r, const rung_json_object *object)
{
    const json_t *parameters = json_object_get(object->json, "parameters");
    if (parameters != NULL && !json_is_object(parameters)) {
        return rung_fail(r->error, RUNG_INVALID, "%sparameters must be an object, not %s", object->path,
                         rung_json_type_name(parameters));
    }
    if (parameter(object->json, "shared_memory_region") != NULL) {
        return rung_fail(r->error, RUNG_UNSUPPORTED,
                         "%sparameters.shared_memory_region: this node has no shared memory; send the data",
                         object->path);
    }
    return RUNG_OK;
}

static rung_status read_flag(const reader *r, const rung_json_object *object, const char *name, bool absent, bool *flag)
{
    const json_t *value = parameter(object->json, name);
    if (value != NULL && !json_is_boolean(value)) {
        return rung_fail(r->error, RUNG_INVALID, "%sparameters.%s must be true or false, not %s", object->path, name,
                         rung_json_type_name(value));
    }
    *flag = value != NULL ? json_is_true(value) : absent;
    return RUNG_OK;
}

/* ---- tensors ---- */

static rung_status read_shape(reader *r, const rung_json_object *tensor, size_t *count)
{
    const json_t *shape;
    rung_status status = rung_json_get(tensor, "shape", JSON_ARRAY, &shape, r->error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t rank = json_array_size(shape);
    for (size_t i = 0; i < rank; i++) {
        const json_t *size = json_array_get(shape, i);
        if (!json_is_integer(size) || json_integer_value(size) < 1) {
            return rung_fail(r->error, RUNG_INVALID, "%sshape[%zu] must be a whole number above 0", tensor->path, i);
        }
    }
    if (rank < 1 || rank > 2 || (rank == 2 && json_integer_value(json_array_get(shape, 1)) != 1)) {
        return rung_fail(r->error, RUNG_INVALID, "%sshape must be [n] or [n,1]", tensor->path);
    }
    json_int_t n = json_integer_value(json_array_get(shape, 0));
    if ((uint64_t)n > r->max_inputs) {
        return rung_fail(r->error, RUNG_LIMIT, "%sshape[0] is %lld; the limit of this node is %zu", tensor->path,
                         (long long)n, r->max_inputs);
    }
    *count = (size_t)n;
    return RUNG_OK;
}

/* One element of `data`, or one of a list in it. */
static rung_status take_element(reader *r, const rung_json_object *tensor, const json_t *value, size_t *taken)
{
    if (!json_is_string(value)) {
        return rung_fail(r->error, RUNG_INVALID, "%sdata[%zu] must be a string, not %s", tensor->path, *taken,
                         rung_json_type_name(value));
    }
    if (*taken < r->count) {
        r->texts[r->num_tensors][*taken] = (slice){json_string_value(value), json_string_length(value)};
    }
    (*taken)++;
    return RUNG_OK;
}

/* Elements in JSON, flat or nested as the shape is. */
static rung_status read_data(reader *r, const rung_json_object *tensor)
{
    const json_t *data;
    size_t taken = 0;
    rung_status status = rung_json_get(tensor, "data", JSON_ARRAY, &data, r->error);
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(data); i++) {
        const json_t *item = json_array_get(data, i);
        if (!json_is_array(item)) {
            status = take_element(r, tensor, item, &taken);
            continue;
        }
        for (size_t j = 0; status == RUNG_OK && j < json_array_size(item); j++) {
            status = take_element(r, tensor, json_array_get(item, j), &taken);
        }
    }
    if (status == RUNG_OK && taken != r->count) {
        return rung_fail(r->error, RUNG_INVALID, "%sdata holds %zu elements; shape says %zu", tensor->path, taken,
                         r->count);
    }
    return status;
}

static size_t read_length(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
}

/* Elements behind the JSON: each a length and as many bytes. */
static rung_status read_binary(reader *r, const rung_json_object *tensor, const json_t *size_value)
{
    json_int_t size = json_integer_value(size_value);
    if (!json_is_integer(size_value) || size < 0 || (uint64_t)size > r->binary_bytes) {
        return rung_fail(r->error, RUNG_FORMAT,
                         "%sparameters.binary_data_size must be a whole number up to %zu, the "
                         "bytes that are left behind the JSON",
                         tensor->path, r->binary_bytes);
    }
    if (json_object_get(tensor->json, "data") != NULL) {
        return rung_fail(r->error, RUNG_INVALID, "%sdata stands beside binary_data_size; send one of them",
                         tensor->path);
    }
    const char *at = r->binary;
    size_t left = (size_t)size;
    r->binary += left;
    r->binary_bytes -= left;
    for (size_t i = 0; i < r->count; i++) {
        size_t length = left >= LENGTH_BYTES ? read_length(at) : 0;
        if (left < LENGTH_BYTES || length > left - LENGTH_BYTES) {
            return rung_fail(r->error, RUNG_FORMAT, "%sdata[%zu] ends behind the tensor's %lld bytes", tensor->path, i,
                             (long long)size);
        }
        r->texts[r->num_tensors][i] = (slice){at + LENGTH_BYTES, length};
        at += LENGTH_BYTES + length;
        left -= LENGTH_BYTES + length;
    }
    if (left > 0) {
        return rung_fail(r->error, RUNG_FORMAT, "%sparameters.binary_data_size is %lld; its %zu elements take %zu less",
                         tensor->path, (long long)size, r->count, left);
    }
    return RUNG_OK;
}

static rung_status check_datatype(const reader *r, const rung_json_object *tensor)
{
    const json_t *datatype;
    rung_status status = rung_json_get(tensor, "datatype", JSON_STRING, &datatype, r->error);
    if (status == RUNG_OK && strcmp(json_string_value(datatype), "BYTES") != 0) {
        char shown[RUNG_QUOTED_BYTES];
        return rung_fail(r->error, RUNG_INVALID, "%sdatatype is '%s'; it must be BYTES", tensor->path,
                         rung_shorten(json_string_value(datatype), json_string_length(datatype), shown));
    }
    return status;
}

static rung_status read_tensor(reader *r, const rung_json_object *tensor)
{
    size_t count = 0;
    const json_t *name;
    rung_status status = rung_json_get(tensor, "name", JSON_STRING, &name, r->error);
    if (status == RUNG_OK) {
        status = check_datatype(r, tensor);
    }
    if (status == RUNG_OK) {
        status = check_parameters(r, tensor);
    }
    if (status == RUNG_OK) {
        status = read_shape(r, tensor, &count);
    }
    if (status != RUNG_OK) {
        return status;
    }
    if (r->num_tensors > 0 && count != r->count) {
        return rung_fail(r->error, RUNG_INVALID, "%sshape[0] is %zu; that of inputs[0] is %zu", tensor->path, count,
                         r->count);
    }
    r->count = count;
    r->texts[r->num_tensors] = rung_alloc(count, sizeof(slice), "inputs", r->error);
    if (r->texts[r->num_tensors] == NULL) {
        return RUNG_NO_MEMORY;
    }
    const json_t *size = parameter(tensor->json, "binary_data_size");
    status = size != NULL ? read_binary(r, tensor, size) : read_data(r, tensor);
    r->num_tensors++;
    return status;
}

static const char *name_of(const json_t *list, size_t index)
{
    return json_string_value(json_object_get(json_array_get(list, index), "name"));
}

static rung_status read_tensors(reader *r, const json_t *root)
{
    const json_t *list;
    rung_status status = rung_json_get(&(rung_json_object){.json = root}, "inputs", JSON_ARRAY, &list, r->error);
    if (status != RUNG_OK) {
        return status;
    }
    size_t count = json_array_size(list);
    if (count < 1 || count > MAX_TENSORS) {
        return rung_fail(r->error, RUNG_INVALID,
                         "inputs holds %zu tensors; it must hold 1 (the texts) or 2 (the texts and their pairs)",
                         count);
    }
    for (size_t i = 0; status == RUNG_OK && i < count; i++) {
        rung_json_object tensor;
        status = rung_json_element(list, "inputs", i, &tensor, r->error);
        if (status == RUNG_OK) {
            status = read_tensor(r, &tensor);
        }
    }
    if (status == RUNG_OK && r->binary_bytes > 0) {
        return rung_fail(r->error, RUNG_FORMAT, "%zu bytes are left behind the JSON that no input takes",
                         r->binary_bytes);
    }
    bool swapped = status == RUNG_OK && count == 2 && strcmp(name_of(list, 0), "text_pair") == 0 &&
                   strcmp(name_of(list, 1), "text") == 0;
    r->first = swapped ? 1 : 0;
    return status;
}

static rung_status make_lines(const reader *r, rung_classify_body *body)
{
    rung_status status = rung_classify_body_reserve(body, r->count, r->error);
    for (size_t i = 0; status == RUNG_OK && i < r->count; i++) {
        char places[MAX_TENSORS][PLACE_BYTES];
        rung_placed_text texts[MAX_TENSORS];
        for (size_t t = 0; t < r->num_tensors; t++) {
            size_t from = t == 0 ? r->first : 1 - r->first;
            snprintf(places[t], sizeof places[t], "inputs[%zu].data[%zu]", from, i);
            texts[t] = (rung_placed_text){places[t], r->texts[from][i].data, r->texts[from][i].bytes};
        }
        status = rung_line_from_texts(&texts[0], r->num_tensors == 2 ? &texts[1] : NULL, i, &body->inputs[i], r->error);
    }
    body->is_list = true;
    body->truncate = true;
    return status;
}

/* ---- what the answer is to hold ---- */

static rung_status find_output(const reader *r, const rung_json_object *wanted, const rung_v2_form *form,
                               rung_v2_output *output)
{
    const json_t *value;
    rung_status status = rung_json_get(wanted, "name", JSON_STRING, &value, r->error);
    if (status != RUNG_OK) {
        return status;
    }
    char shown[RUNG_QUOTED_BYTES];
    const char *name = json_string_value(value);
    for (size_t i = 0; i < form->num_outputs; i++) {
        if (strcmp(name, output_names[form->outputs[i].output]) == 0) {
            return rung_fail(r->error, RUNG_INVALID, "%sname is '%s' for the second time", wanted->path, name);
        }
    }
    for (int o = 0; o < RUNG_V2_OUTPUTS; o++) {
        if (strcmp(name, output_names[o]) == 0) {
            *output = (rung_v2_output)o;
            return RUNG_OK;
        }
    }
    return rung_fail(r->error, RUNG_INVALID,
                     "%sname is '%s'; the outputs are probabilities, label, level and confidence", wanted->path,
                     rung_shorten(name, json_string_length(value), shown));
}

static rung_status read_output(const reader *r, const rung_json_object *wanted, bool binary, rung_v2_form *form)
{
    rung_v2_output output = RUNG_V2_PROBABILITIES;
    rung_status status = find_output(r, wanted, form, &output);
    if (status == RUNG_OK) {
        status = check_parameters(r, wanted);
    }
    if (status == RUNG_OK) {
        status = read_flag(r, wanted, "binary_data", binary, &binary);
    }
    if (status == RUNG_OK && parameter(wanted->json, "classification") != NULL) {
        return rung_fail(r->error, RUNG_UNSUPPORTED,
                         "%sparameters.classification: this node has no classification extension; ask for label",
                         wanted->path);
    }
    form->outputs[form->num_outputs].output = output;
    form->outputs[form->num_outputs].binary = binary;
    form->num_outputs += status == RUNG_OK;
    return status;
}

static rung_status read_outputs(const reader *r, const json_t *root, rung_v2_form *form)
{
    const json_t *list = json_object_get(root, "outputs");
    const rung_json_object whole = {.json = root};
    bool binary = false;
    rung_status status = check_parameters(r, &whole);
    if (status == RUNG_OK) {
        status = read_flag(r, &whole, "binary_data_output", false, &binary);
    }
    if (status == RUNG_OK && list != NULL && !json_is_array(list)) {
        return rung_fail(r->error, RUNG_INVALID, "outputs must be a list, not %s", rung_json_type_name(list));
    }
    for (size_t i = 0; status == RUNG_OK && i < json_array_size(list); i++) {
        rung_json_object wanted;
        status = rung_json_element(list, "outputs", i, &wanted, r->error);
        if (status == RUNG_OK) {
            status = read_output(r, &wanted, binary, form);
        }
    }
    if (status == RUNG_OK && json_array_size(list) == 0) {
        for (int o = 0; o < RUNG_V2_OUTPUTS; o++) {
            form->outputs[o].output = (rung_v2_output)o;
            form->outputs[o].binary = binary;
        }
        form->num_outputs = RUNG_V2_OUTPUTS;
    }
    return status;
}

static rung_status read_id(const reader *r, const json_t *root, rung_v2_form *form)
{
    const json_t *id = json_object_get(root, "id");
    if (id == NULL) {
        return RUNG_OK;
    }
    if (!json_is_string(id)) {
        return rung_fail(r->error, RUNG_INVALID, "id must be a string, not %s", rung_json_type_name(id));
    }
    if (json_string_length(id) > RUNG_LINE_MAX_ID_BYTES) {
        return rung_fail(r->error, RUNG_LIMIT, "id has %zu bytes; it may have %d", json_string_length(id),
                         RUNG_LINE_MAX_ID_BYTES);
    }
    form->id_bytes = json_string_length(id);
    form->id = rung_copy_text(json_string_value(id), form->id_bytes, "id", r->error);
    return form->id == NULL ? RUNG_NO_MEMORY : RUNG_OK;
}

static rung_status read_root(reader *r, const json_t *root, rung_classify_body *body, rung_v2_form *form)
{
    rung_status status = read_tensors(r, root);
    if (status == RUNG_OK) {
        status = read_outputs(r, root, form);
    }
    if (status == RUNG_OK) {
        status = read_id(r, root, form);
    }
    return status == RUNG_OK ? make_lines(r, body) : status;
}

rung_status rung_v2_body_parse(const char *body, size_t bytes, const char *json_length, size_t max_inputs,
                               rung_classify_body *out, rung_v2_form *form, rung_error *error)
{
    json_t *root = NULL;
    size_t json_bytes = bytes;
    rung_classify_body parsed = {0};
    rung_v2_form made = {0};
    rung_status status = json_length != NULL ? split(json_length, bytes, &json_bytes, error) : RUNG_OK;
    if (status == RUNG_OK) {
        status = rung_json_body(body, json_bytes, &root, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    reader r = {
        .binary = body + json_bytes, .binary_bytes = bytes - json_bytes, .max_inputs = max_inputs, .error = error};
    status = read_root(&r, root, &parsed, &made);
    free(r.texts[0]);
    free(r.texts[1]);
    json_decref(root);
    status = rung_classify_body_end(status, &parsed, out);
    rung_v2_form_deinit(status == RUNG_OK ? form : &made);
    *form = status == RUNG_OK ? made : *form;
    return status;
}
