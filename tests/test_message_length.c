/* test_message_length.c: lengths are those of the bodies that are written. */
#include "base/prng.h"
#include "run/message.h"
#include "run/message_length.h"
#include "skip.h"

#include <math.h>
#include <string.h>

#define MAX_CLASSES 5
#define ROUNDS 20000

static double workspace[RUNG_REQUEST_WORKSPACE * MAX_CLASSES];

static const double temperature[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static rung_prng prng = {7};

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)rung_prng_below(&prng, bound);
}

/* From very small to 1. */
static double draw_probability(void)
{
    double p = rung_prng_uniform(&prng);
    switch (draw(4)) {
    case 0:
        return pow(p, 20);
    case 1:
        return 1 - pow(p, 20);
    case 2:
        return draw(2);
    default:
        return p;
    }
}

static void fill(rung_level_result *result, uint32_t num_classes)
{
    result->visited = draw(3) > 0;
    result->exit_layer = draw(13);
    result->num_layers = draw(13);
    result->confidence = (float)draw_probability();
    for (uint32_t c = 0; c < num_classes; c++) {
        result->probabilities[c] = draw_probability();
    }
}

static size_t draw_size(void)
{
    size_t size = draw(1000);
    return draw(4) == 0 ? size * size * size : draw(3) == 0 ? 0 : size;
}

static void draw_request(rung_request *request, const rung_policy *policy, const rung_calibration *calibration)
{
    uint32_t level = 1 + draw(calibration->num_levels);
    uint64_t key = rung_prng_next(&prng) >> draw(64);
    rung_request_init(request, policy, calibration, level, 1, key, workspace);
    for (uint32_t l = 0; l < calibration->num_levels; l++) {
        fill(&request->results[l], calibration->num_classes);
    }
    fill(&request->watched, calibration->num_classes);
    request->first_level = draw(calibration->num_levels + 1);
    request->degraded = (rung_degraded)draw(RUNG_DEGRADED_MODEL + 1);
}

static void check_request(const rung_request *request, uint32_t num_classes, rung_buffer *body)
{
    size_t findings[RUNG_MAX_LEVELS];
    for (uint32_t level = 1; level <= request->level; level++) {
        const rung_level_result *prior = rung_request_prior(request, level);
        findings[level - 1] = rung_finding_length(prior->confidence, prior->probabilities, num_classes);
    }
    rung_buffer_clear(body);
    rung_message_request(body, request, &(rung_payload){.text = {"", 0}}, num_classes, NULL);
    if (body->length != rung_request_length(request, findings)) {
        fail_msg("%zu for %s", rung_request_length(request, findings), body->data);
    }
}

static void check_reply(const rung_request *request, uint32_t num_levels, uint32_t num_classes, rung_buffer *body)
{
    size_t findings[RUNG_MAX_LEVELS];
    rung_level_answer did[RUNG_MAX_LEVELS];
    size_t num_did = 0;
    for (uint32_t level = request->level; level <= num_levels; level++) {
        const rung_level_result *result = &request->results[level - 1];
        findings[level - 1] = rung_finding_length(result->confidence, result->probabilities, num_classes);
        did[num_did++] = (rung_level_answer){.level = draw(5) > 0 ? level : 0,
                                             .exit_layer = draw(20),
                                             .layers = draw(20),
                                             .tokens = draw_size(),
                                             .truncated_tokens = draw_size(),
                                             .words = draw_size(),
                                             .kept_words = draw_size(),
                                             .bytes_up = draw_size(),
                                             .bytes_down = draw_size(),
                                             .compute_ms = rung_prng_uniform(&prng),
                                             .link_ms = (double)draw_size()};
    }
    rung_buffer_clear(body);
    rung_message_reply(body, request, did, num_did, num_classes, rung_prng_uniform(&prng));
    if (body->length != rung_reply_length(request, did, num_did, findings)) {
        fail_msg("%zu for %s", rung_reply_length(request, did, num_did, findings), body->data);
    }
}

static void bodies_are_as_long_as_written(void **state)
{
    (void)state;
    rung_policy policy;
    rung_error error;
    rung_buffer body = {0};
    assert_int_equal(rung_policy_defaults("rung", 4, &policy, &error), RUNG_OK);
    for (size_t round = 0; round < ROUNDS; round++) {
        rung_calibration calibration = {.num_levels = 1 + draw(RUNG_MAX_LEVELS), .num_classes = 1 + draw(MAX_CLASSES)};
        for (uint32_t l = 0; l < calibration.num_levels; l++) {
            calibration.level[l] =
                (rung_level_calibration){.num_exits = 12, .temperature = temperature, .accuracy = 0.9};
        }
        rung_request request;
        draw_request(&request, &policy, &calibration);
        check_request(&request, calibration.num_classes, &body);
        check_reply(&request, calibration.num_levels, calibration.num_classes, &body);
    }
    rung_buffer_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bodies_are_as_long_as_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
