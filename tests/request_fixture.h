/* request_fixture.h: a request on three levels, and the events that are fed to it, for the tests of the state machine. */
#ifndef RUNG_TESTS_REQUEST_FIXTURE_H
#define RUNG_TESTS_REQUEST_FIXTURE_H

#include "cascade/request.h"
#include "numbers.h"

#define NUM_CLASSES 2

/* ln 4: (0, ln 4) is (.2, .8). ln 1.5: (.4, .6). ln 19: (.05, .95). */
static const float p80[2] = {0, 1.3862943611f};
static const float p60[2] = {0, 0.4054651081f};
static const float p95[2] = {0, 2.9444389792f};
static const float broken[2] = {NAN, 0};

static const double ones[3] = {1, 1, 1};
static const double twos[3] = {2, 2, 2};

typedef struct fixture {
    rung_policy policy;
    rung_calibration calibration;
    rung_request request;
    double workspace[RUNG_REQUEST_WORKSPACE * NUM_CLASSES];
} fixture;

/* "rung" deciding on its own confidence with t = .7, on three levels of accuracies .8, .9 and .95 without fitted weights. */
static inline void set_up(fixture *f, uint32_t level, uint32_t entry_level)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(rung_policy_defaults("rung", 3, &f->policy, NULL), RUNG_OK);
    f->policy.pooled_decision = false;
    for (int l = 0; l < RUNG_MAX_LEVELS; l++) {
        f->policy.offload.threshold[l] = 0.7;
    }
    f->calibration = (rung_calibration){.num_levels = 3,
                                        .num_classes = NUM_CLASSES,
                                        .level = {{.num_exits = 3, .temperature = ones, .accuracy = 0.8},
                                                  {.num_exits = 3, .temperature = ones, .accuracy = 0.9},
                                                  {.num_exits = 3, .temperature = ones, .accuracy = 0.95}}};
    rung_request_init(&f->request, &f->policy, &f->calibration, level, entry_level, 1, f->workspace);
}

static inline unsigned feed(fixture *f, rung_event_kind kind, double now_s)
{
    rung_event event = {.kind = kind, .now_s = now_s, .reason = RUNG_DEGRADED_NO};
    return rung_request_step(&f->request, &event);
}

static inline unsigned local_done(fixture *f, const float *logits, double now_s)
{
    rung_event event = {
        .kind = RUNG_EVENT_LOCAL_DONE, .now_s = now_s, .exit_layer = 2, .num_layers = 3, .logits = logits};
    return rung_request_step(&f->request, &event);
}

static inline unsigned lost(fixture *f, rung_degraded reason, double now_s)
{
    rung_event event = {.kind = RUNG_EVENT_UPSTREAM_FAILED, .now_s = now_s, .reason = reason};
    return rung_request_step(&f->request, &event);
}

static inline void write_result(fixture *f, uint32_t level, double p0, double p1)
{
    f->request.results[level - 1].visited = true;
    f->request.results[level - 1].probabilities[0] = p0;
    f->request.results[level - 1].probabilities[1] = p1;
}

#endif
