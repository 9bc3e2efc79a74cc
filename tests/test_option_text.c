/* test_option_text.c: help, values in force, completion and the man page: every option appears, nothing is too wide, bash accepts its script. */
#include "base/file.h"
#include "config/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void check_width(const char *text, size_t columns)
{
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        assert_true(length <= columns);
        assert_true(length == 0 || line[length - 1] != ' ');
        line += length + (line[length] == '\n' ? 1 : 0);
    }
}

/* Two options may share a key when no command takes both. */
static bool takes_flag(const char *key, rung_command command)
{
    for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
        const rung_option_spec *spec = rung_option_spec_of(id);
        if (strcmp(spec->key, key) == 0 && (spec->commands & (uint32_t)command) != 0) {
            return true;
        }
    }
    return false;
}

static void help(void **state)
{
    (void)state;
    size_t count;
    const rung_command_spec *commands = rung_command_specs(&count);
    for (size_t i = 0; i < count; i++) {
        rung_buffer text = {0};
        rung_options_help(&text, &commands[i], 100);
        assert_false(text.failed);
        check_width(text.data, 100);
        for (rung_option_id id = 0; id < RUNG_OPTION_COUNT; id++) {
            const rung_option_spec *spec = rung_option_spec_of(id);
            if (!rung_option_is_level(id)) {
                char flag[160];
                snprintf(flag, sizeof flag, "--%s%s", spec->key, spec->type == RUNG_TYPE_BOOL ? "" : " ");
                assert_true((strstr(text.data, flag) != NULL) == takes_flag(spec->key, commands[i].command));
            }
        }
        rung_buffer_deinit(&text);
    }
    rung_buffer text = {0};
    rung_options_help(&text, &commands[0], 100);
    assert_non_null(strstr(text.data, "Usage: rung classify [options] [TEXT...]\n"));
    assert_non_null(strstr(text.data, "  -c, --config FILE                 the YAML file of the cascade or node;"));
    assert_non_null(strstr(text.data, "default int8)"));
    assert_non_null(strstr(text.data, "(0 to 1; default of the policy)"));
    assert_non_null(strstr(text.data, "--levels.N.link.rtt TIME"));
    assert_non_null(strstr(text.data, "--policy.members LEVEL[,LEVEL...]"));
    rung_buffer_clear(&text);
    rung_options_help(&text, &commands[0], 60);
    check_width(text.data, 60);
    rung_buffer_clear(&text);
    rung_options_overview(&text, 80);
    check_width(text.data, 80);
    assert_non_null(strstr(text.data, "  quantize      pack a Hugging Face directory into one int8 file\n"));
    rung_buffer_deinit(&text);
}

static void show(void **state)
{
    (void)state;
    rung_options *options = NULL;
    rung_error error;
    rung_buffer text = {0};
    assert_int_equal(rung_options_new(&options, &error), RUNG_OK);
    assert_int_equal(rung_options_set(options, "levels.2.speed", "3", &error), RUNG_OK);
    assert_int_equal(
        rung_options_put(options, RUNG_OPTION_POLICY_NAME, 0, RUNG_SOURCE_FILE, "c.yaml:9", NULL, "c", "tabi", &error),
        RUNG_OK);
    rung_options_show(&text, options, RUNG_FILE_CASCADE, 2);
    assert_non_null(strstr(text.data, "\nlevels.1.speed                 1                                default\n"));
    assert_non_null(
        strstr(text.data, "\nlevels.2.speed                 3                                levels.2.speed\n"));
    assert_non_null(strstr(text.data, "\npolicy.name                    tabi                             c.yaml:9\n"));
    assert_non_null(strstr(text.data, "\ncalibration                    -                                not set\n"));
    assert_null(strstr(text.data, "levels.3."));
    assert_null(strstr(text.data, "plan"));
    assert_null(strstr(text.data, "config ")); /* a flag, no value of the cascade */
    rung_buffer_deinit(&text);
    rung_options_free(options);
}

/* Runs `script` with bash and compares what it prints. */
static void expect_output(const char *script, const char *expected)
{
    char path[] = "/tmp/rung-completion-XXXXXX";
    char command[64];
    char output[512] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, strlen(script)), (ssize_t)strlen(script));
    close(fd);
    snprintf(command, sizeof command, "bash %s", path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(output, 1, sizeof output - 1, pipe);
    output[length] = '\0';
    assert_int_equal(pclose(pipe), 0);
    unlink(path);
    assert_string_equal(output, expected);
}

static void completion(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int at;
        const char *expected;
    } cases[] = {
        {"rung qu", 1, "quantize\n"},
        {"rung classify --js", 2, "--json\n"},
        {"rung classify --policy.exit.rule p", 3, "paper\npabee\n"},
        {"rung classify --policy p", 3, "paper\npabee\npower-bert\n"},
        {"rung classify --policy.members a", 3, "all\n"},
        {"rung classify --policy.variant l", 3, "layer-skip\n"},
        {"rung classify --policy.offload.sp", 2, "--policy.offload.speculate\n"},
        {"rung classify --levels.2.sp", 2, "--levels.2.speed\n"},
        {"rung classify --precision i", 3, "int8\n"},
        {"rung quantize --js", 2, ""},
        {"rung demo --seed 1", 3, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rung_buffer script = {0};
        rung_options_completion(&script);
        rung_buffer_format(
            &script,
            "COMP_WORDS=(%s)\nCOMP_CWORD=%d\n_rung\nfor reply in \"${COMPREPLY[@]}\"; do echo \"$reply\"; done\n",
            cases[i].words, cases[i].at);
        assert_false(script.failed);
        expect_output(script.data, cases[i].expected);
        rung_buffer_deinit(&script);
    }
}

static void man(void **state)
{
    (void)state;
    rung_buffer text = {0};
    rung_options_man(&text);
    assert_false(text.failed);
    assert_true(strncmp(text.data, ".TH RUNG 1 ", 11) == 0);
    assert_non_null(strstr(text.data, "\n.B \\-\\-policy, \\-\\-policy.name NAME\n"));
    assert_non_null(
        strstr(text.data,
               ". Commands: classify, demo, quantize, fit, bench, profile, eval, serve, config, completion, man.\n"));
    /* No line of text is taken for a request. */
    for (const char *line = text.data; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        if (line[0] == '.') {
            static const char *const requests[] = {".TH ", ".SH ", ".SS ", ".TP\n", ".B ", ".I "};
            bool known = false;
            for (size_t i = 0; i < 6; i++) {
                known = known || strncmp(line, requests[i], strlen(requests[i])) == 0;
            }
            assert_true(known);
        }
        assert_true(line[0] != '\'');
    }
    rung_buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help),
        cmocka_unit_test(show),
        cmocka_unit_test(completion),
        cmocka_unit_test(man),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
