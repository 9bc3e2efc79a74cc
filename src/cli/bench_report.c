/* bench_report.c: how `rung bench` prints its rows. See bench.h. */
#include "cli/bench.h"
#include "run/message.h"

#include <stdio.h>
#include <string.h>

static const char *const part_names[RUNG_ENCODER_PARTS] = {
    [RUNG_PART_EMBEDDING] = "embedding", [RUNG_PART_QKV] = "qkv",
    [RUNG_PART_ATTENTION] = "attention", [RUNG_PART_ATTENTION_OUTPUT] = "attention_output",
    [RUNG_PART_FFN_IN] = "ffn_in",       [RUNG_PART_FFN_OUT] = "ffn_out",
    [RUNG_PART_NORM] = "norm",           [RUNG_PART_EXIT] = "exit",
};

void bench_row_json(rung_buffer *out, const bench_row *row)
{
    rung_buffer_text(out, "\"shape\":");
    rung_message_string(out, row->name, strlen(row->name));
    if (row->tokens > 0) {
        rung_buffer_format(out, ",\"tokens\":%zu", row->tokens);
    }
    rung_buffer_format(out, ",\"batch\":%zu,\"threads\":%zu,\"split\":%s,\"precision\":\"%s\",\"isa\":\"%s\"",
                       row->batch, row->threads, row->split ? "true" : "false",
                       rung_precision_name(row->model->precision), row->kernels->name);
    rung_buffer_format(out, ",\"repeats\":%zu", row->repeats);
}

void bench_row_text(rung_buffer *out, const bench_row *row)
{
    rung_buffer_format(out, "%s, ", row->name);
    if (row->tokens > 0) {
        rung_buffer_format(out, "%zu tokens, ", row->tokens);
    }
    rung_buffer_format(out, "%zu text%s a batch, %zu thread%s%s, %s, %s, %zu runs\n", row->batch,
                       row->batch == 1 ? "" : "s", row->threads, row->threads == 1 ? "" : "s",
                       row->threads == 1 ? ""
                       : row->split      ? " on one batch"
                                         : " with a batch each",
                       rung_precision_name(row->model->precision), row->kernels->name, row->repeats);
}

static void json_row(rung_buffer *out, const bench_row *row, const bench_result *result)
{
    double gops = result->operations / result->run_s.median / 1e9;
    double peak_gops = result->peak.high / 1e9;
    rung_buffer_text(out, "{");
    bench_row_json(out, row);
    rung_buffer_format(out, ",\"median_ms\":%.4g,\"p10_ms\":%.4g,\"p90_ms\":%.4g,\"gops\":%.4g,\"peak_gops\":%.4g",
                       result->run_s.median * 1e3, result->run_s.low * 1e3, result->run_s.high * 1e3, gops, peak_gops);
    rung_buffer_format(out, ",\"share\":%.3f,\"cpu_ms\":%.4g", gops / peak_gops, result->cpu_s * 1e3);
    for (size_t i = 0; result->has_parts && i < RUNG_ENCODER_PARTS; i++) {
        rung_buffer_format(out, "%s\"%s_ms\":%.4g", i == 0 ? ",\"parts\":{" : ",", part_names[i],
                           result->part_s[i] * 1e3);
    }
    rung_buffer_text(out, result->has_parts ? "}}\n" : "}\n");
}

static void text_parts(rung_buffer *out, const bench_row *row, const bench_result *result)
{
    double peak_ops = result->peak.high / (double)row->threads;
    double total_s = 0;
    for (size_t i = 0; i < RUNG_ENCODER_PARTS; i++) {
        total_s += result->part_s[i];
    }
    rung_buffer_text(out, "  part                    ms    time    GOP/s   share of peak\n");
    for (size_t i = 0; i < RUNG_ENCODER_PARTS; i++) {
        double part_s = result->part_s[i];
        rung_buffer_format(out, "  %-17s %8.3f  %5.1f %%", part_names[i], part_s * 1e3, 100 * part_s / total_s);
        if (result->part_ops[i] > 0 && part_s > 0) {
            double ops = result->part_ops[i] / part_s;
            rung_buffer_format(out, " %8.1f  %12.1f %%", ops / 1e9, 100 * ops / peak_ops);
        }
        rung_buffer_text(out, "\n");
    }
}

static void text_row(rung_buffer *out, const bench_row *row, const bench_result *result)
{
    double gops = result->operations / result->run_s.median / 1e9;
    double peak_gops = result->peak.high / 1e9;
    bench_row_text(out, row);
    rung_buffer_format(out, "  batch   %8.2f ms median (10 %%: %.2f, 90 %%: %.2f), %.2f ms of processor time\n",
                       result->run_s.median * 1e3, result->run_s.low * 1e3, result->run_s.high * 1e3,
                       result->cpu_s * 1e3);
    rung_buffer_format(out,
                       "  work    %8.1f GOP/s\n  peak    %8.1f GOP/s (registers only, same run)\n"
                       "  share   %8.1f %%\n",
                       gops, peak_gops, 100 * gops / peak_gops);
    if (result->has_parts) {
        text_parts(out, row, result);
    }
}

rung_status bench_print_row(const bench_row *row, const bench_result *result, bool json, rung_error *error)
{
    rung_buffer out = {0};
    if (json) {
        json_row(&out, row, result);
    } else {
        text_row(&out, row, result);
    }
    rung_status status = cli_print_buffer(&out, error);
    rung_buffer_deinit(&out);
    return status;
}
