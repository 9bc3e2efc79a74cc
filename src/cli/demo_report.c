/* demo_report.c: figures, table and stories of `rung demo`. See demo_report.h. */
#include "cli/demo_report.h"

#include "base/memory.h"
#include "base/order.h"
#include "cascade/confidence.h"
#include "cli/answer_text.h"
#include "config/variant_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The nearest-rank quantile of sorted values. */
static double quantile(const double *sorted, size_t count, double q)
{
    size_t rank = (size_t)(q * (double)count + 0.999999);
    return sorted[rank < 1 ? 0 : rank > count ? count - 1 : rank - 1];
}

static void latency_figures(double *latency_ms, size_t count, demo_figures *figures)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += latency_ms[i];
    }
    rung_sort(latency_ms, count);
    figures->mean_ms = sum / (double)count;
    figures->p50_ms = quantile(latency_ms, count, 0.5);
    figures->p95_ms = quantile(latency_ms, count, 0.95);
}

double demo_latency_ms(const rung_answer *answer)
{
    double sum = 0;
    for (size_t l = 0; l < answer->num_levels; l++) {
        const rung_level_answer *level = &answer->levels[l];
        sum += level->compute_ms + level->queue_ms + level->link_ms;
    }
    return sum;
}

rung_status demo_figures_of(const rung_cascade *cascade, const rung_dataset *data, const demo_run *run,
                            const demo_run *reference, demo_figures *figures, rung_error *error)
{
    double *latency_ms = rung_alloc(data->count, sizeof *latency_ms, "latencies", error);
    if (latency_ms == NULL) {
        return RUNG_NO_MEMORY;
    }
    demo_figures sum = {0};
    size_t right = 0;
    size_t agreeing = 0;
    size_t answered[RUNG_MAX_LEVELS] = {0};
    size_t words = 0;
    size_t kept_words = 0;
    for (size_t i = 0; i < data->count; i++) {
        const rung_answer *answer = &run->answers[i];
        right += answer->label_index == data->labels[i];
        agreeing += answer->label_index == reference->answers[i].label_index;
        answered[answer->level - 1]++;
        latency_ms[i] = demo_latency_ms(answer);
        sum.wall_ms += run->wall_ms[i];
        for (size_t l = 0; l < answer->num_levels; l++) {
            const rung_level_answer *level = &answer->levels[l];
            sum.layers_run += level->exit_layer;
            sum.bytes_up += (double)level->bytes_up;
            if (level->bytes_up > 0 && level->exit_layer > 0) {
                words += level->words;
                kept_words += level->kept_words;
            }
        }
    }
    double count = (double)data->count;
    latency_figures(latency_ms, data->count, &sum);
    sum.accuracy = (double)right / count;
    sum.agreement = (double)agreeing / count;
    sum.wall_ms /= count;
    sum.layers_run /= count;
    sum.bytes_up /= count;
    sum.words_pruned = words > 0 ? (double)(words - kept_words) / (double)words : 0;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        sum.answered[l] = (double)answered[l] / count;
    }
    *figures = sum;
    free(latency_ms);
    return RUNG_OK;
}

static size_t total_layers(const rung_cascade *cascade)
{
    size_t layers = 0;
    for (uint32_t l = 0; l < cascade->num_levels; l++) {
        layers += cascade->level[l].model->config.num_layers;
    }
    return layers;
}

void demo_print_table(rung_buffer *out, const rung_cascade *cascade, const demo_run *runs, const demo_figures *figures,
                      size_t count)
{
    char answered_title[RUNG_MAX_LEVELS * 16] = "";
    size_t length = 0;
    for (uint32_t l = 0; l < cascade->num_levels && length < sizeof answered_title; l++) {
        int written = snprintf(answered_title + length, sizeof answered_title - length, "%s%.10s", l == 0 ? "" : "/",
                               cascade->level[l].name);
        length += written > 0 ? (size_t)written : 0;
    }
    rung_buffer_format(out, "%-13s %8s %6s  %7s %7s %7s %7s  %-16s %9s %7s %7s\n", "", "", "agrees", "mean", "p50",
                       "p95", "wall", "answered at", "layers", "words", "bytes");
    rung_buffer_format(out, "%-13s %8s %6s  %7s %7s %7s %7s  %-16s %9s %7s %7s\n", "policy", "accuracy", "cloud", "ms",
                       "ms", "ms", "ms", answered_title, "run", "pruned", "up");
    for (size_t r = 0; r < count; r++) {
        const demo_figures *f = &figures[r];
        char answered[RUNG_MAX_LEVELS * 8] = "";
        length = 0;
        for (uint32_t l = 0; l < cascade->num_levels && length < sizeof answered; l++) {
            int written = snprintf(answered + length, sizeof answered - length, "%s%.0f", l == 0 ? "" : "/",
                                   100 * f->answered[l]);
            length += written > 0 ? (size_t)written : 0;
        }
        char layers[32];
        snprintf(layers, sizeof layers, "%.1f/%zu", f->layers_run, total_layers(cascade));
        rung_buffer_format(out, "%-13s %7.1f%% %5.1f%%  %7.1f %7.1f %7.1f %7.1f  %-16s %9s %6.1f%% %7.0f\n",
                           runs[r].name, 100 * f->accuracy, 100 * f->agreement, f->mean_ms, f->p50_ms, f->p95_ms,
                           f->wall_ms, answered, layers, 100 * f->words_pruned, f->bytes_up);
    }
}

/* "; NAME 0.6, 0.5" by level below the top; nothing when it is 0 everywhere. */
static void print_by_level(rung_buffer *out, const rung_cascade *cascade, const char *name, const double *values)
{
    bool any = false;
    for (uint32_t l = 0; l + 1 < cascade->num_levels; l++) {
        any = any || values[l] > 0;
    }
    for (uint32_t l = 0; any && l + 1 < cascade->num_levels; l++) {
        rung_buffer_format(out, l == 0 ? "%s%.3g" : "%s, %.3g", l == 0 ? name : "", values[l]);
    }
}

static void print_offload(rung_buffer *out, const rung_cascade *cascade, const rung_policy *policy)
{
    const rung_offload_policy *offload = &policy->offload;
    if (policy->parallel) {
        rung_buffer_text(out, "all levels at once");
        return;
    }
    if (offload->at_random) {
        rung_buffer_format(out, "%.3g of all at random", offload->share);
    } else {
        rung_buffer_text(out, "t = ");
        for (uint32_t l = 0; l + 1 < cascade->num_levels; l++) {
            rung_buffer_format(out, l == 0 ? "%.3g" : ", %.3g", offload->threshold[l]);
        }
        rung_buffer_text(out, offload->hard ? ", k hard" : ", k = ");
        if (!offload->hard) {
            rung_buffer_format(out, "%.3g", offload->k);
        }
    }
    print_by_level(out, cascade, "; skips a level up to ", offload->skip);
    print_by_level(out, cascade, "; leaves early up to ", offload->early);
    print_by_level(out, cascade, "; speculates up to ", offload->speculate);
}

static void print_exit(rung_buffer *out, const rung_exit_policy *exit)
{
    switch (exit->rule) {
    case RUNG_EXIT_OFF:
        rung_buffer_text(out, "; all layers");
        break;
    case RUNG_EXIT_PAPER:
        rung_buffer_format(out, "; exit after Eq 13-14, tau = %.3g, p = %" PRIu32, exit->tau, exit->patience);
        break;
    case RUNG_EXIT_AGREE:
        rung_buffer_format(out, "; exit when %" PRIu32 "+1 exits agree, JS < %.3g, confidence >= %.3g", exit->patience,
                           exit->tau, exit->confidence);
        break;
    case RUNG_EXIT_PABEE:
        rung_buffer_format(out, "; exit when %" PRIu32 "+1 exits agree", exit->patience);
        break;
    case RUNG_EXIT_ENTROPY:
        rung_buffer_format(out, "; exit when the entropy is below %.3g", exit->entropy[0]);
        if (exit->entropy[0] != exit->entropy[RUNG_EXIT_THRESHOLDS - 1]) {
            rung_buffer_format(out, " to %.3g", exit->entropy[RUNG_EXIT_THRESHOLDS - 1]);
        }
        break;
    case RUNG_EXIT_DIVERGENCE:
        rung_buffer_format(out, "; exit when JS < %.3g for %" PRIu32 "+1 exits", exit->tau, exit->patience);
        break;
    }
}

static const char *weights_name(rung_weights weights)
{
    switch (weights) {
    case RUNG_WEIGHTS_ACCURACY:
        return "weights by accuracy";
    case RUNG_WEIGHTS_LAST:
        return "last level answers";
    case RUNG_WEIGHTS_FITTED:
        return "fitted weights";
    case RUNG_WEIGHTS_VOTE:
        return "levels vote";
    }
    return "";
}

/* "; only these levels compute: 1, 3", where not all do. */
static void print_members(rung_buffer *out, uint32_t members)
{
    const char *separator = "; only these levels compute: ";
    for (uint32_t l = 0; l < RUNG_MAX_LEVELS; l++) {
        if ((members >> l & 1) != 0) {
            rung_buffer_format(out, "%s%" PRIu32, separator, l + 1);
            separator = ", ";
        }
    }
}

void demo_print_parameters(rung_buffer *out, const rung_cascade *cascade, const rung_policy *policy)
{
    char variant[RUNG_VARIANT_BYTES];
    if (cascade->num_levels > 1 && policy->first_compute_level >= cascade->num_levels) {
        rung_buffer_text(out, "full text over all links, nothing computed below\n");
        return;
    }
    print_offload(out, cascade, policy);
    print_members(out, policy->members);
    if (policy->prune.enabled) {
        rung_buffer_format(out, "; prune alpha = %.3g", policy->prune.alpha);
    } else {
        rung_buffer_text(out, "; no pruning");
    }
    print_exit(out, &policy->exit);
    if (policy->variant.kind != RUNG_VARIANT_NONE) {
        rung_buffer_format(out, "; %s", rung_variant_format(&policy->variant, variant));
    }
    rung_buffer_format(out, "; %s%s\n", weights_name(policy->weights),
                       policy->defer == RUNG_DEFER_LEARNED ? "; learned deferral" : "");
}

static void print_level(rung_buffer *out, const rung_cascade *cascade, const rung_level_answer *level, bool sent)
{
    uint32_t label = rung_argmax(level->probabilities, cascade->num_classes);
    rung_buffer_format(out, "    %-6s layer %2" PRIu32 " of %2" PRIu32 ": %s %.3f, %zu tokens", level->name,
                       level->exit_layer, level->layers, cascade->labels[label], level->confidence, level->tokens);
    if (level->truncated_tokens > 0) {
        rung_buffer_format(out, " (%zu cut)", level->truncated_tokens);
    }
    rung_buffer_format(out, ", %.1f ms", level->compute_ms);
    if (!sent) {
        rung_buffer_text(out, "\n");
    } else if (level->words > 0) {
        rung_buffer_format(out, "; sent up %zu of %zu words, %zu bytes, link %.1f ms\n", level->kept_words,
                           level->words, level->bytes_up, level->link_ms);
    } else {
        rung_buffer_format(out, "; sent up its tokens, pruned, %zu bytes, link %.1f ms\n", level->bytes_up,
                           level->link_ms);
    }
}

void demo_print_story(rung_buffer *out, const rung_cascade *cascade, const char *id, const char *truth,
                      const char *text, size_t text_bytes, const rung_answer *answer)
{
    rung_buffer_format(out, "  %.60s: %s %.3f in %.1f ms", id, answer->label, answer->score, demo_latency_ms(answer));
    if (truth != NULL) {
        rung_buffer_format(out, strcmp(truth, answer->label) == 0 ? " (right)" : " (wrong: it is %s)", truth);
    }
    rung_buffer_text(out, "\n    \"");
    cli_text_start(out, text, text_bytes, 90);
    rung_buffer_text(out, "\"\n");
    for (size_t l = 0; l < answer->num_levels; l++) {
        if (answer->levels[l].probabilities != NULL) {
            print_level(out, cascade, &answer->levels[l], answer->levels[l].bytes_up > 0);
        }
    }
}
