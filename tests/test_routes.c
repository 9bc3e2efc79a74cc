/* test_routes.c: the table of paths: it and the OpenAPI document name the same paths and methods, methods that a path does not have, unknown paths, and the
 * form of errors by path. */
#include "api_scene.h"
#include "serve/openapi.h"
#include "serve/routes.h"

static heard answer;

static json_t *load_document(void)
{
    json_error_t problem;
    json_t *document = json_loadb((const char *)rung_openapi, rung_openapi_bytes, JSON_REJECT_DUPLICATES, &problem);
    if (document == NULL) {
        fail_msg("%s", problem.text);
    }
    return document;
}

static void every_route_is_in_the_document(void **state)
{
    (void)state;
    size_t count;
    const rung_route *routes = rung_routes(&count);
    json_t *document = load_document();
    const json_t *paths = json_object_get(document, "paths");
    assert_string_equal(text_at(json_object_get(document, "info"), "version"), rung_version());
    for (size_t i = 0; i < count; i++) {
        const char *method = strcmp(routes[i].method, "GET") == 0 ? "get" : "post";
        if (json_object_get(json_object_get(paths, routes[i].pattern), method) == NULL) {
            fail_msg("%s %s is not in src/serve/openapi.json", routes[i].method, routes[i].pattern);
        }
    }
    json_decref(document);
}

static bool is_route(const char *method, const char *path)
{
    size_t count;
    const rung_route *routes = rung_routes(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(routes[i].method, method) == 0 && strcmp(routes[i].pattern, path) == 0) {
            return true;
        }
    }
    return false;
}

static void the_document_has_no_other_path(void **state)
{
    (void)state;
    json_t *document = load_document();
    const char *path;
    json_t *methods;
    json_object_foreach(json_object_get(document, "paths"), path, methods)
    {
        const char *method;
        json_t *operation;
        json_object_foreach(methods, method, operation)
        {
            if (!is_route(method, path)) {
                fail_msg("src/serve/openapi.json has %s %s", method, path);
            }
            assert_true(json_object_size(json_object_get(operation, "responses")) > 0);
            assert_non_null(json_object_get(operation, "operationId"));
        }
    }
    json_decref(document);
}

/* "#/components/schemas/Error" is there. */
static void check_reference(const json_t *document, const char *reference)
{
    char copy[128];
    assert_int_equal(strncmp(reference, "#/", 2), 0);
    snprintf(copy, sizeof copy, "%s", reference + 2);
    for (char *part = copy; part != NULL && document != NULL;) {
        char *slash = strchr(part, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        document = json_object_get(document, part);
        part = slash != NULL ? slash + 1 : NULL;
    }
    if (document == NULL) {
        fail_msg("%s is not there", reference);
    }
}

/* The document is our own, and not deep. */
static void check_references(const json_t *document, json_t *value)
{
    const char *key;
    json_t *member;
    size_t index;
    json_object_foreach(value, key, member)
    {
        if (strcmp(key, "$ref") == 0) {
            check_reference(document, json_string_value(member));
        }
        check_references(document, member);
    }
    json_array_foreach(value, index, member)
    {
        check_references(document, member);
    }
}

static void references_lead_somewhere(void **state)
{
    (void)state;
    json_t *document = load_document();
    check_references(document, document);
    json_decref(document);
}

static void errors_have_the_form_of_their_path(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const rung_api *api;
    } cases[] = {{"/", &rung_api_tei},
                 {"/predict", &rung_api_tei},
                 {"/predict/x", &rung_api_tei},
                 {"/predicted", &rung_api_rung},
                 {"/info", &rung_api_tei},
                 {"/v2", &rung_api_v2},
                 {"/v2/none", &rung_api_v2},
                 {"/v22", &rung_api_rung},
                 {"/v1/moderations", &rung_api_openai},
                 {"/v1/models/x", &rung_api_openai},
                 {"/classify", &rung_api_vllm},
                 {"/v1/classify", &rung_api_rung},
                 {"", &rung_api_rung},
                 {"/none", &rung_api_rung}};
    size_t count;
    const rung_route *routes = rung_routes(&count);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_ptr_equal(rung_routes_api(cases[i].path), cases[i].api);
    }
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(rung_routes_api(routes[i].pattern), routes[i].api);
    }
}

/* Every path with a method that it does not have, over a connection. */
static void other_methods_are_refused(void **state)
{
    (void)state;
    served node;
    size_t count;
    const rung_route *routes = rung_routes(&count);
    start(&node, "1", NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        char path[128];
        bool get = strcmp(routes[i].method, "GET") == 0;
        const char *model = strstr(routes[i].pattern, "{model}");
        const char *version = strstr(routes[i].pattern, "{version}");
        snprintf(path, sizeof path, "%.*s%s%.*s%s%s",
                 model != NULL ? (int)(model - routes[i].pattern) : (int)strlen(routes[i].pattern), routes[i].pattern,
                 model != NULL ? "one" : "", version != NULL ? (int)(version - model - 7) : 0,
                 model != NULL ? model + 7 : "", version != NULL ? "1" : "",
                 version != NULL ? version + 9
                 : model != NULL ? model + 7
                                 : "");
        call(&node, get ? "POST" : "GET", path, "", "", &answer);
        expect_status(&answer, 405, path);
        assert_string_equal(header_of(&answer, "Allow"), get ? "GET, HEAD" : "POST");
        call(&node, "DELETE", path, "", "", &answer);
        expect_status(&answer, 405, path);
        if (get && routes[i].page != NULL) {
            call(&node, "GET", path, "", "", &answer);
            assert_true(answer.status == 200 || answer.status == 501);
            int status = answer.status;
            call(&node, "HEAD", path, "", "", &answer);
            expect_status(&answer, status, path);
        }
    }
    expect_refusal(&node, "GET", "/none", "", "", 404,
                   "{\"error\":\"no such path; POST /v1/classify classifies texts, and GET");
    expect_refusal(&node, "GET", "/v2/models//ready", "", "", 404, "{\"error\":");
    expect_refusal(&node, "GET", "/v1/classify/", "", "", 404, "{\"error\":");
    stop(&node);
}

static void the_document_is_served(void **state)
{
    (void)state;
    served node;
    start(&node, "1", NULL, NULL);
    call(&node, "GET", "/openapi.json", "", "", &answer);
    expect_status(&answer, 200, "document");
    assert_int_equal(answer.body_bytes, rung_openapi_bytes);
    assert_memory_equal(answer.body, rung_openapi, rung_openapi_bytes);
    stop(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_in_the_document), cmocka_unit_test(the_document_has_no_other_path),
        cmocka_unit_test(references_lead_somewhere),      cmocka_unit_test(errors_have_the_form_of_their_path),
        cmocka_unit_test(other_methods_are_refused),      cmocka_unit_test(the_document_is_served),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
