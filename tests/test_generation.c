/* test_generation.c: what a node serves between two reloads: its policies by name, the token of the next level, and its users. */
#include "net/loop.h"
#include "node_fixture.h"

#define UPSTREAM "upstream.addresses", "http://127.0.0.1:9"

static rung_generation *open_first_level(void)
{
    return open_generation((const char *const[]){"config", yaml_path, "level", "1", NULL}, 3);
}

static void policies_are_found_by_name(void **state)
{
    (void)state;
    rung_generation *generation = open_first_level();
    const rung_policy *own = rung_generation_policy(generation, "");
    assert_ptr_equal(own, &generation->policies[0]);
    assert_string_equal(own->name, "rung");
    assert_true(own->offload.threshold[0] == 0.7);
    assert_ptr_equal(rung_generation_policy(generation, "rung"), own);
    const rung_policy *single = rung_generation_policy(generation, "single");
    assert_non_null(single);
    assert_int_equal(single->first_compute_level, 2);
    assert_null(rung_generation_policy(generation, "singl"));
    assert_null(rung_generation_policy(generation, "Rung"));
    for (size_t i = 0; i < generation->num_policies; i++) {
        assert_ptr_equal(rung_generation_policy(generation, generation->policies[i].name), &generation->policies[i]);
    }
    rung_generation_free(generation);
}

static void policies_with_a_number_are_made(void **state)
{
    (void)state;
    rung_generation *generation = open_first_level();
    rung_policy made;
    rung_error error;
    const rung_policy *policy = NULL;
    assert_int_equal(rung_generation_find_policy(generation, "", &made, &policy, &error), RUNG_OK);
    assert_ptr_equal(policy, &generation->policies[0]);
    assert_int_equal(rung_generation_find_policy(generation, "single", &made, &policy, &error), RUNG_OK);
    assert_ptr_equal(policy, rung_generation_policy(generation, "single"));
    assert_int_equal(rung_generation_find_policy(generation, "single(1)", &made, &policy, &error), RUNG_OK);
    assert_ptr_equal(policy, &made);
    assert_int_equal(made.members, 1);
    static const char *const bad[] = {"single(3)", "singl", "random(2)"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        error.message[0] = '\0';
        assert_int_not_equal(rung_generation_find_policy(generation, bad[i], &made, &policy, &error), RUNG_OK);
        assert_int_equal(strncmp(error.message, "policy.", 7), 0);
        assert_ptr_equal(policy, &made);
    }
    rung_generation_free(generation);
}

static void it_opens_the_own_level_only(void **state)
{
    (void)state;
    rung_generation *generation = open_generation((const char *const[]){"config", yaml_path, "level", "two", NULL}, 9);
    assert_int_equal(generation->serial, 9);
    assert_int_equal(generation->config.level, 2);
    assert_null(generation->cascade->level[0].model);
    assert_ptr_equal(rung_generation_model(generation), generation->cascade->level[1].model);
    assert_null(generation->upstream);
    rung_generation_free(generation);
    rung_generation_free(NULL);
}

/* What the calibration says of the level, of what reaches it, while the policy is the one that it was made for. */
static void the_expected_share_is_the_calibrations(void **state)
{
    (void)state;
    rung_generation *generation = open_first_level();
    rung_calibration_file *file = &generation->cascade->calibration_file;
    rung_policy *policy = &generation->policies[0];
    file->levels[0].has_threshold = true;
    file->levels[0].threshold = 0.7;
    file->levels[0].answered = 0.8;
    policy->offload.threshold[0] = 0.7;
    policy->offload.hard = true;
    assert_true(rung_generation_expected_share(generation) == 0.8);
    policy->offload.threshold[0] = 0.71;
    assert_true(rung_generation_expected_share(generation) == 0);
    policy->offload.threshold[0] = 0.7;
    policy->offload.hard = false;
    assert_true(rung_generation_expected_share(generation) == 0);
    rung_generation_free(generation);
    rung_generation *top = open_generation((const char *const[]){"config", yaml_path, "level", "2", NULL}, 1);
    assert_true(rung_generation_expected_share(top) == 0);
    rung_generation_free(top);
}

static void users_are_counted(void **state)
{
    (void)state;
    rung_generation *generation = open_first_level();
    assert_int_equal(atomic_load(&generation->users), 1);
    rung_generation_use(generation);
    rung_generation_use(generation);
    assert_int_equal(atomic_load(&generation->users), 3);
    for (size_t i = 0; i < 3; i++) {
        rung_generation_leave(generation);
    }
    assert_int_equal(atomic_load(&generation->users), 0);
    rung_generation_free(generation);
}

/* A generation whose model is not there; its configuration is taken over all the same. */
static void a_missing_model_is_named(void **state)
{
    (void)state;
    rung_error error;
    rung_node_config config;
    rung_generation *generation = NULL;
    load_config((const char *const[]){"model", "tests/golden/nothing", NULL}, &config);
    assert_int_not_equal(rung_generation_open(&config, NULL, 1, &generation, &error), RUNG_OK);
    assert_null(generation);
    assert_null(config.id);
    assert_non_null(strstr(error.message, "tests/golden/nothing"));
}

static rung_status connect_with(const char *token_file, rung_error *error)
{
    rung_loop *loop = NULL;
    rung_generation *generation = open_generation(
        (const char *const[]){"config", yaml_path, "level", "1", UPSTREAM, "upstream.token_file", token_file, NULL}, 1);
    assert_int_equal(rung_loop_create(&loop, error), RUNG_OK);
    rung_status status = rung_generation_connect(generation, loop, 5, NULL, error);
    assert_true((status == RUNG_OK) == (generation->upstream != NULL));
    rung_generation_free(generation);
    rung_loop_free(loop);
    return status;
}

static void token_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
        rung_status status;
    } cases[] = {
        {"secret", 6, RUNG_OK},          {"secret\r\nsecond line\n", 21, RUNG_OK},
        {"", 0, RUNG_INVALID},           {"\n", 1, RUNG_INVALID},
        {"\nsecret", 7, RUNG_INVALID},   {"sec\0ret", 7, RUNG_INVALID},
        {"sec\x01ret", 7, RUNG_INVALID},
    };
    char path[80];
    rung_error error;
    snprintf(path, sizeof path, "%s/token", directory);
    assert_int_equal(connect_with(path, &error), RUNG_NOT_FOUND);
    assert_non_null(strstr(error.message, path));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file("token", cases[i].text, cases[i].bytes);
        rung_status status = connect_with(path, &error);
        if (status != cases[i].status) {
            fail_msg("case %zu: status %d", i, (int)status);
        }
        if (status != RUNG_OK) {
            assert_non_null(strstr(error.message, path));
            assert_null(strstr(error.message, "sec"));
        }
    }
    char *large = calloc(1, 5000);
    assert_non_null(large);
    memset(large, 'x', 5000);
    write_file("token", large, 5000);
    free(large);
    assert_int_equal(connect_with(path, &error), RUNG_LIMIT);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(unlink(path), 0);
}

static void flagged_labels_are_those_of_the_option(void **state)
{
    (void)state;
    rung_generation *generation = open_first_level();
    assert_false(generation->flags[0]);
    assert_true(generation->flags[1] && generation->flags[2]);
    rung_generation_free(generation);
    generation = open_generation((const char *const[]){"config", yaml_path, "level", "1", "moderation.flagged",
                                                       "entailment, contradiction", NULL},
                                 3);
    assert_true(generation->flags[0] && generation->flags[2]);
    assert_false(generation->flags[1]);
    rung_generation_free(generation);

    rung_error error;
    rung_node_config config;
    generation = NULL;
    load_config((const char *const[]){"config", yaml_path, "level", "1", "moderation.flagged", "neutral,other", NULL},
                &config);
    assert_int_equal(rung_generation_open(&config, &(rung_open_options){.threads = 1}, 3, &generation, &error),
                     RUNG_INVALID);
    assert_non_null(strstr(error.message, "moderation.flagged: 'other' is none of the labels contradiction, neutral, "
                                          "entailment"));
    assert_null(generation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_are_found_by_name),
        cmocka_unit_test(flagged_labels_are_those_of_the_option),
        cmocka_unit_test(policies_with_a_number_are_made),
        cmocka_unit_test(it_opens_the_own_level_only),
        cmocka_unit_test(the_expected_share_is_the_calibrations),
        cmocka_unit_test(users_are_counted),
        cmocka_unit_test(a_missing_model_is_named),
        cmocka_unit_test(token_files),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
