/* demo_report.h: what `rung demo` prints: a table with a row a policy, and what happened to single texts. */
#ifndef RUNG_CLI_DEMO_REPORT_H
#define RUNG_CLI_DEMO_REPORT_H

#include "base/buffer.h"
#include "fit/dataset.h"
#include "run/cascade.h"

/* One policy's answers to all rows of a data set. */
typedef struct demo_run {
    const char *name;
    rung_policy policy;
    rung_answer *answers; /* [rows] */
    void **blocks;        /* [rows] their memory */
    double *wall_ms;      /* [rows] what the client measured */
} demo_run;

/* Figures of one run over all rows. */
typedef struct demo_figures {
    double accuracy;
    double agreement;                 /* same label as the reference */
    double mean_ms, p50_ms, p95_ms;   /* compute / speed + waiting + links */
    double wall_ms;                   /* mean of what the client measured on this machine */
    double answered[RUNG_MAX_LEVELS]; /* share whose highest level was this one */
    double layers_run;                /* mean a text, over the levels visited */
    double words_pruned;              /* share of the words of texts that were sent up by a level that read them */
    double bytes_up;                  /* mean a text, over all hops */
} demo_figures;

/* reference: the run to agree with. */
rung_status demo_figures_of(const rung_cascade *cascade, const rung_dataset *data, const demo_run *run,
                            const demo_run *reference, demo_figures *figures, rung_error *error) RUNG_WARN_UNUSED;

/* Eq 3 with round trips and waiting, at the levels' speeds. */
double demo_latency_ms(const rung_answer *answer);

void demo_print_table(rung_buffer *out, const rung_cascade *cascade, const demo_run *runs, const demo_figures *figures,
                      size_t count);
void demo_print_parameters(rung_buffer *out, const rung_cascade *cascade, const rung_policy *policy);

/* What each level did with one text. truth NULL: not known. */
void demo_print_story(rung_buffer *out, const rung_cascade *cascade, const char *id, const char *truth,
                      const char *text, size_t text_bytes, const rung_answer *answer);

#endif
