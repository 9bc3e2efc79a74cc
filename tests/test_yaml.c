/* test_yaml.c: the tree with its lines and columns, and everything that strict YAML refuses, each by its message. */
#include "config/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rung_yaml *parse(const char *text)
{
    rung_yaml *yaml = NULL;
    rung_error error;
    assert_int_equal(rung_yaml_parse(text, strlen(text), "a.yaml", &yaml, &error), RUNG_OK);
    return yaml;
}

static void refuse_bytes(const char *text, size_t bytes, rung_status status, const char *message)
{
    rung_yaml *yaml = NULL;
    rung_error error = {0};
    assert_int_equal(rung_yaml_parse(text, bytes, "a.yaml", &yaml, &error), status);
    assert_string_equal(error.message, message);
    assert_null(yaml);
    assert_int_equal(rung_yaml_parse(text, bytes, "a.yaml", &yaml, NULL), status);
}

static void refuse(const char *text, rung_status status, const char *message)
{
    refuse_bytes(text, strlen(text), status, message);
}

static void tree(void **state)
{
    (void)state;
    rung_yaml *yaml = parse(
        "levels:\n  - name: end\n    speed: 0.25   # slow\n  - {name: \"é\", list: [1, [2, 3]]}\nempty:\nquoted: ''\n");
    const rung_yaml_node *root = yaml->root;
    assert_int_equal(root->kind, RUNG_YAML_MAPPING);
    assert_int_equal(root->count, 3);
    const rung_yaml_node *levels = rung_yaml_get(root, "levels");
    assert_int_equal(levels->kind, RUNG_YAML_SEQUENCE);
    assert_int_equal(levels->count, 2);
    const rung_yaml_node *speed = rung_yaml_get(levels->items[0], "speed");
    assert_string_equal(speed->text, "0.25");
    assert_int_equal(speed->line, 3);
    assert_int_equal(speed->column, 12);
    const rung_yaml_node *second = levels->items[1];
    assert_string_equal(rung_yaml_get(second, "name")->text, "\xc3\xa9");
    assert_int_equal(second->line, 4);
    assert_int_equal(second->column, 5);
    assert_string_equal(rung_yaml_get(second, "list")->items[1]->items[1]->text, "3");
    assert_int_equal(rung_yaml_get(second, "list")->column, 23); /* characters, not bytes */
    assert_true(rung_yaml_get(root, "empty")->is_null);
    assert_false(rung_yaml_get(root, "quoted")->is_null);
    assert_null(rung_yaml_get(root, "missing"));
    assert_null(rung_yaml_get(levels, "levels"));
    rung_error error;
    assert_int_equal(rung_yaml_fail(yaml, speed, &error, RUNG_INVALID, "too %s", "slow"), RUNG_INVALID);
    assert_string_equal(error.message, "a.yaml:3:12: too slow");
    rung_yaml_free(yaml);
    rung_yaml_free(NULL);
}

static void refused(void **state)
{
    (void)state;
    refuse("", RUNG_FORMAT, "a.yaml: is empty");
    refuse("# only a comment\n", RUNG_FORMAT, "a.yaml: is empty");
    refuse("a: &x 1\n", RUNG_FORMAT, "a.yaml:1:4: anchors (&name) are not allowed; write the value out");
    refuse("a: &x [1]\nb: 2\n", RUNG_FORMAT, "a.yaml:1:4: anchors (&name) are not allowed; write the value out");
    refuse("a: 1\nb: *x\n", RUNG_FORMAT, "a.yaml:2:4: aliases (*name) are not allowed; write the value out");
    refuse("a: !!str 1\n", RUNG_FORMAT, "a.yaml:1:4: tags (!name) are not allowed; remove it");
    refuse("a: !x {b: 1}\n", RUNG_FORMAT, "a.yaml:1:4: tags (!name) are not allowed; remove it");
    refuse("<<: {a: 1}\n", RUNG_FORMAT, "a.yaml:1:1: merge keys (<<) are not allowed; write the keys out");
    refuse("%YAML 1.1\n---\na: 1\n", RUNG_FORMAT, "a.yaml:1:1: directives (%) are not allowed; remove them");
    refuse("a: 1\n---\nb: 2\n", RUNG_FORMAT, "a.yaml:2:1: a second document begins; a file holds one");
    refuse("a: 1\nb: 2\na: 3\n", RUNG_FORMAT, "a.yaml:3:1: key 'a' is given twice; first in line 1");
    refuse("x: {a: 1, a: 2}\n", RUNG_FORMAT, "a.yaml:1:11: key 'a' is given twice; first in line 1");
    refuse("[a]: 1\n", RUNG_FORMAT, "a.yaml:1:1: a key must be a name");
    refuse("? {a: 1}\n: 1\n", RUNG_FORMAT, "a.yaml:1:3: a key must be a name");
    refuse("~: 1\n", RUNG_FORMAT, "a.yaml:1:1: a key must be a name");
    refuse("a: \"x\\0y\"\n", RUNG_FORMAT, "a.yaml:1:4: a value may not hold a NUL character");
    refuse("a: [1, 2\nb: 3\n", RUNG_FORMAT, "a.yaml:2:2: not valid YAML: did not find expected ',' or ']'");
    refuse("a:\n\tb: 1\n", RUNG_FORMAT, "a.yaml:2:1: not valid YAML: found character that cannot start any token");
    refuse("a: 1\n  b: 2\n", RUNG_FORMAT, "a.yaml:2:4: not valid YAML: mapping values are not allowed in this context");
    refuse("ok: 1\nx: a\xff\n", RUNG_FORMAT, "a.yaml:2:5: not valid UTF-8 at byte 10");
    refuse("ok: 1\nx: \x01\n", RUNG_FORMAT, "a.yaml:2:4: not valid YAML: control characters are not allowed");
    refuse_bytes("a: 1\0", 5, RUNG_FORMAT, "a.yaml:1:5: not valid YAML: control characters are not allowed");
}

static void limits(void **state)
{
    (void)state;
    char deep[64] = "";
    memset(deep, '[', 16);
    memset(deep + 16, ']', 16);
    rung_yaml_free(parse(deep));
    memset(deep, '[', 17);
    memset(deep + 17, ']', 17);
    refuse(deep, RUNG_LIMIT, "a.yaml:1:17: nested deeper than 16 levels");
    size_t bytes = RUNG_YAML_MAX_BYTES + 1;
    char *large = malloc(bytes);
    assert_non_null(large);
    memset(large, '#', bytes);
    refuse_bytes(large, bytes, RUNG_LIMIT, "a.yaml: 1048577 bytes are more than the limit of 1048576");
    memset(large, '[', bytes);
    refuse_bytes(large, bytes - 1, RUNG_LIMIT, "a.yaml:1:17: nested deeper than 16 levels");
    size_t length = 1;
    for (int i = 0; i < RUNG_YAML_MAX_ENTRIES + 1; i++) {
        length += (size_t)snprintf(large + length, bytes - length, "%d,", i);
    }
    large[0] = '[';
    large[length] = ']';
    refuse_bytes(large, length + 1, RUNG_LIMIT, "a.yaml:1:19372: more than 4096 entries in one list or mapping");
    free(large);
}

static void files(void **state)
{
    (void)state;
    rung_yaml *yaml = NULL;
    rung_error error;
    assert_int_equal(rung_yaml_load("tests/no-such.yaml", &yaml, &error), RUNG_NOT_FOUND);
    assert_string_equal(error.message, "tests/no-such.yaml: cannot open: No such file or directory");
    assert_int_equal(rung_yaml_load("models/cascade.yaml", &yaml, &error), RUNG_OK);
    assert_string_equal(yaml->name, "models/cascade.yaml");
    rung_yaml_free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree),
        cmocka_unit_test(refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
