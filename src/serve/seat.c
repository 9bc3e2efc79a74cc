/* seat.c: see seat.h. */
#include "serve/seat.h"

#include "base/clock.h"

void rung_seat_leave(rung_seat *seat)
{
    if (seat->generation != NULL) {
        rung_batch_deinit(&seat->batch);
        rung_generation_leave(seat->generation);
        seat->generation = NULL;
    }
}

rung_status rung_seat_enter(rung_seat *seat, rung_generation *generation, rung_error *error)
{
    if (seat->generation == generation) {
        return RUNG_OK;
    }
    rung_seat_leave(seat);
    const rung_model *model = rung_generation_model(generation);
    size_t tokens = generation->config.batch_max_tokens;
    tokens = tokens > model->config.max_tokens ? tokens : model->config.max_tokens;
    rung_status status =
        rung_batch_init(&seat->batch, model, generation->cascade->kernels, tokens, RUNG_SEAT_ERRANDS, error);
    if (status == RUNG_OK) {
        status = rung_batch_share(&seat->batch, seat->pool, error);
        if (status != RUNG_OK) {
            rung_batch_deinit(&seat->batch);
        }
    }
    if (status == RUNG_OK) {
        rung_generation_use(generation);
        seat->generation = generation;
    }
    return status;
}

/* Between two layers of the batch: the loop may send the body of one of its errands. */
static void look_ahead(void *context, rung_job *job)
{
    (void)job;
    const rung_lookout *self = context;
    if (rung_errand_watched(self->errand, rung_clock_s())) {
        self->seat->ahead(self->seat->context, self->errand);
    }
}

static void run(rung_seat *seat, size_t num_jobs, const rung_between *between)
{
    const rung_visit *first = &seat->errands[0]->visit;
    rung_batch_run_between(&seat->batch, seat->jobs, num_jobs,
                           rung_visit_importance_layers(first->cascade, first->policy, first->level),
                           &first->policy->variant, between);
}

size_t rung_seat_compute(rung_seat *seat, size_t count, const rung_between *between)
{
    rung_error error;
    rung_status ready = rung_seat_enter(seat, seat->errands[0]->generation, &error);
    double now_s = rung_clock_s();
    bool runs[RUNG_SEAT_ERRANDS];
    size_t num_jobs = 0;
    for (size_t i = 0; i < count; i++) {
        rung_errand *errand = seat->errands[i];
        if (ready != RUNG_OK) {
            errand->status = ready;
            errand->error = error;
        }
        runs[i] = ready == RUNG_OK && rung_errand_read(errand, now_s);
        if (runs[i]) {
            seat->lookouts[i] = (rung_lookout){seat, errand};
            errand->visit.job.on_watch = look_ahead;
            errand->visit.job.watch_context = &seat->lookouts[i];
            seat->jobs[num_jobs++] = &errand->visit.job;
        }
    }
    if (num_jobs > 0) {
        run(seat, num_jobs, between);
    }
    size_t bytes = 0;
    now_s = rung_clock_s();
    for (size_t i = 0; i < count; i++) {
        if (runs[i]) {
            bytes += seat->errands[i]->visit.job.exit_layer > 0 ? seat->errands[i]->cost_bytes : 0;
            rung_errand_computed(seat->errands[i], now_s);
        }
    }
    return bytes;
}
