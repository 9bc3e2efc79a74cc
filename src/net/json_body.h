/* json_body.h: the fields of a JSON body that came over a network, with messages that begin with the field: "prior[0].level is 3; it must be from 1
 * to 1". For message_parse.c and classify_body.c; knows no message. */
#ifndef RUNG_NET_JSON_BODY_H
#define RUNG_NET_JSON_BODY_H

#include "base/status.h"

#include <jansson.h>

/* An object and how messages call it. */
typedef struct rung_json_object {
    const json_t *json;
    char path[32]; /* before the names of its fields: "" or "prior[0]." */
} rung_json_object;

/* Parses a body that must be an object; keys that occur twice are refused. Release with json_decref. RUNG_FORMAT says where it is no JSON (also
 * where it is nested too deep). */
rung_status rung_json_body(const char *body, size_t bytes, json_t **root, rung_error *error) RUNG_WARN_UNUSED;

/* RUNG_FORMAT names the first field that is not in "a|b|c". */
rung_status rung_json_known(const rung_json_object *object, const char *known, rung_error *error) RUNG_WARN_UNUSED;

/* Element `index` of the list `name`, which must be an object. RUNG_FORMAT when it is not. */
rung_status rung_json_element(const json_t *list, const char *name, size_t index, rung_json_object *element,
                              rung_error *error) RUNG_WARN_UNUSED;

/* The field, lent. RUNG_FORMAT when it is missing or of another type; an integer will do where JSON_REAL is asked for. */
rung_status rung_json_get(const rung_json_object *object, const char *name, json_type type, const json_t **value,
                          rung_error *error) RUNG_WARN_UNUSED;

/* The same as rung_json_get, and RUNG_INVALID where it lies outside least .. most, limits included. */
rung_status rung_json_integer(const rung_json_object *object, const char *name, uint64_t least, uint64_t most,
                              uint64_t *value, rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_json_number(const rung_json_object *object, const char *name, double least, double most, double *value,
                             rung_error *error) RUNG_WARN_UNUSED;

#endif
