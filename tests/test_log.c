/* test_log.c: lines of the log in both forms: one line each, escaped, cut, filtered. */
#include "serve/log.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct caught {
    char text[4096];
    size_t lines;
} caught;

static void take(void *context, const char *line, size_t bytes)
{
    caught *self = context;
    assert_true(bytes < sizeof self->text);
    memcpy(self->text, line, bytes);
    self->text[bytes] = '\0';
    assert_int_equal(strcspn(self->text, "\n"), bytes - 1); /* one newline, at the end */
    self->lines++;
}

static rung_log *open_log(caught *self, rung_log_level level, bool json)
{
    rung_error error;
    rung_log *log = NULL;
    *self = (caught){.lines = 0};
    const rung_log_options options = {.write = take, .context = self, .level = level, .json = json};
    assert_int_equal(rung_log_create(&options, &log, &error), RUNG_OK);
    return log;
}

static void json_lines(void **state)
{
    (void)state;
    caught self;
    rung_log *log = open_log(&self, RUNG_LOG_INFO, true);
    rung_log_line(log, RUNG_LOG_WARN, "a thing \"happened\"", RUNG_LOG_TEXT("why", "tab\tnewline\nquote\" \x01"),
                  RUNG_LOG_INTEGER("count", -7), RUNG_LOG_NUMBER("share", 0.25), RUNG_LOG_NUMBER("nothing", NAN));
    json_t *json = json_loads(self.text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(json, "event")), "a thing \"happened\"");
    assert_string_equal(json_string_value(json_object_get(json, "why")), "tab\tnewline\nquote\" \x01");
    assert_int_equal(json_integer_value(json_object_get(json, "count")), -7);
    assert_true(json_real_value(json_object_get(json, "share")) == 0.25);
    assert_true(json_is_null(json_object_get(json, "nothing")));
    const char *time = json_string_value(json_object_get(json, "time"));
    assert_int_equal(strlen(time), strlen("2026-01-31T12:00:00.000Z"));
    assert_int_equal(strspn(time, "0123456789-T:.Z"), strlen(time));
    json_decref(json);
    rung_log_free(log);
}

static void key_value_lines(void **state)
{
    (void)state;
    caught self;
    rung_log *log = open_log(&self, RUNG_LOG_INFO, false);
    rung_log_line(log, RUNG_LOG_INFO, "serving", RUNG_LOG_TEXT("url", "http://127.0.0.1:1"),
                  RUNG_LOG_TEXT("words", "two words"), RUNG_LOG_TEXT("empty", ""), RUNG_LOG_INTEGER("n", 3));
    assert_non_null(
        strstr(self.text, " level=info event=serving url=http://127.0.0.1:1 words=\"two words\" empty=\"\" n=3\n"));
    assert_int_equal(strncmp(self.text, "time=", 5), 0);
    rung_log_free(log);
}

static void what_is_not_wanted_is_dropped(void **state)
{
    (void)state;
    caught self;
    rung_log *log = open_log(&self, RUNG_LOG_WARN, true);
    rung_log_line(log, RUNG_LOG_INFO, "no", RUNG_LOG_INTEGER("n", 1));
    assert_int_equal(self.lines, 0);
    rung_log_line(log, RUNG_LOG_ERROR, "yes", RUNG_LOG_INTEGER("n", 1));
    assert_int_equal(self.lines, 1);
    rung_log_configure(log, RUNG_LOG_DEBUG, false);
    rung_log_line(log, RUNG_LOG_DEBUG, "yes", RUNG_LOG_INTEGER("n", 1));
    assert_int_equal(self.lines, 2);
    rung_log_free(log);
}

static void long_and_broken_text(void **state)
{
    (void)state;
    caught self;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rung_log *log = open_log(&self, RUNG_LOG_INFO, true);
    rung_log_line(log, RUNG_LOG_INFO, "long", RUNG_LOG_TEXT("text", text));
    assert_true(strlen(self.text) < 700);
    rung_log_line(log, RUNG_LOG_INFO, "broken", RUNG_LOG_TEXT("text", "good \xff bad"), RUNG_LOG_TEXT("none", NULL));
    json_t *json = json_loads(self.text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "text")), "good ");
    json_decref(json);
    rung_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines),
        cmocka_unit_test(key_value_lines),
        cmocka_unit_test(what_is_not_wanted_is_dropped),
        cmocka_unit_test(long_and_broken_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
