/* heat_strip.c: words as shaded boxes, wrapped into lines, as SVG. See heat_strip.h.
 *
 * The font is monospaced and each text states its length (textLength), so that boxes fit their words whatever font the
 * viewer has. */
#include "eval/heat_strip.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/order.h"
#include "base/utf8.h"
#include "config/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH_PX = 800,
    MARGIN_PX = 20,
    CELL_PX = 9, /* a character of a monospaced font of 15 px */
    PAD_PX = 4,
    GAP_PX = 4,
    BOX_PX = 24,
    LINE_PX = 30,
    LEGEND_PX = 46,
    SHADES = 8, /* of the legend's scale */
    MOST_CELLS = (WIDTH_PX - 2 * MARGIN_PX - 2 * PAD_PX) / CELL_PX,
};

/* One box: a word, or a part of one that is longer than a line. */
typedef struct box {
    const char *text;
    size_t bytes;
    size_t cells; /* its width in characters */
} box;

/* The code point at text[*offset], which moves on; U+FFFD for a byte that begins none and for what XML 1.0 does not
 * allow. */
static uint32_t next_shown(const char *text, size_t size, size_t *offset)
{
    for (size_t length = 1; length <= 4 && *offset + length <= size; length++) {
        size_t bad;
        if (rung_utf8_valid(text + *offset, length, &bad)) {
            uint32_t c = rung_utf8_next(text, *offset + length, offset);
            bool allowed = (c >= 0x20 && c != 0x7f) && c != 0xFFFE && c != 0xFFFF;
            return allowed ? c : 0xFFFD;
        }
    }
    ++*offset;
    return 0xFFFD;
}

/* Columns of a monospaced font: 2 for what East Asian fonts draw wide and for emoji, 0 for marks that stand on the
 * letter before. */
static size_t cells_of(uint32_t c)
{
    bool mark = (c >= 0x0300 && c <= 0x036F) || (c >= 0x200B && c <= 0x200F) || (c >= 0xFE00 && c <= 0xFE0F);
    bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
    return mark ? 0 : wide ? 2 : 1;
}

/* The longest start of text[0..bytes) that fits into a line; bytes >= 1. */
static box take_box(const char *text, size_t bytes)
{
    box taken = {.text = text};
    while (taken.bytes < bytes) {
        size_t next = taken.bytes;
        size_t cells = cells_of(next_shown(text, bytes, &next));
        if (taken.cells + cells > MOST_CELLS) {
            break;
        }
        taken.bytes = next;
        taken.cells += cells;
    }
    return taken;
}

static void put_escaped(const char *text, size_t bytes, rung_buffer *out)
{
    for (size_t offset = 0; offset < bytes;) {
        uint32_t c = next_shown(text, bytes, &offset);
        char encoded[4];
        const char *entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : NULL;
        if (entity != NULL) {
            rung_buffer_text(out, entity);
        } else {
            rung_buffer_append(out, encoded, rung_utf8_put(c, encoded));
        }
    }
}

static void put_line_of_text(const char *text, double x, double y, const char *attributes, rung_buffer *out)
{
    rung_buffer_format(out, "<text x=\"%.0f\" y=\"%.0f\" %s>", x, y, attributes);
    put_escaped(text, strlen(text), out);
    rung_buffer_text(out, "</text>\n");
}

/* Between white and a dark blue, by share 0 .. 1. */
static void put_colour(double share, rung_buffer *out)
{
    static const double dark[3] = {8, 69, 148};
    unsigned rgb[3];
    for (size_t i = 0; i < 3; i++) {
        rgb[i] = (unsigned)(255 + share * (dark[i] - 255) + 0.5);
    }
    rung_buffer_format(out, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
}

static void put_struck(double x, double y, double width, rung_buffer *out)
{
    rung_buffer_format(out, "<path d=\"M%.0f %.0fh%.0f\" stroke=\"#d55e00\" stroke-width=\"2.5\"/>\n", x,
                       y + BOX_PX / 2.0, width);
}

/* share: of the scale; NaN: unknown. */
static void put_box(const box *part, double x, double y, double share, bool struck, rung_buffer *out)
{
    double width = (double)(part->cells * CELL_PX) + 2 * PAD_PX;
    rung_buffer_format(out, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%d\" rx=\"3\" fill=\"", x, y, width,
                       BOX_PX);
    put_colour(isnan(share) ? 0 : share, out);
    rung_buffer_text(out,
                     isnan(share) ? "\" stroke=\"#999999\" stroke-dasharray=\"3 2\"/>\n" : "\" stroke=\"#cccccc\"/>\n");
    if (part->cells > 0) {
        rung_buffer_format(
            out, "<text x=\"%.0f\" y=\"%.0f\" textLength=\"%zu\" lengthAdjust=\"spacingAndGlyphs\" fill=\"%s\">",
            x + PAD_PX, y + 17, part->cells * CELL_PX, share > 0.7 ? "#ffffff" : "#111111");
        put_escaped(part->text, part->bytes, out);
        rung_buffer_text(out, "</text>\n");
    }
    if (struck) {
        put_struck(x, y, width, out);
    }
}

/* All words from top on; returns the lower end of the last line. */
static double put_words(const rung_heat_strip *strip, double top, double scale, rung_buffer *out)
{
    double x = MARGIN_PX;
    double y = top;
    for (size_t w = 0; w < strip->num_words; w++) {
        const rung_heat_word *word = &strip->words[w];
        for (size_t offset = 0; offset < word->text_bytes;) {
            box part = take_box(word->text + offset, word->text_bytes - offset);
            double width = (double)(part.cells * CELL_PX) + 2 * PAD_PX;
            if (x > MARGIN_PX && x + width > WIDTH_PX - MARGIN_PX) {
                x = MARGIN_PX;
                y += LINE_PX;
            }
            double shade = scale > 0 ? fmin(word->importance / scale, 1) : 0;
            put_box(&part, x, y, isnan(word->importance) ? (double)NAN : shade, word->struck, out);
            x += width + GAP_PX;
            offset += part.bytes;
        }
    }
    return y + LINE_PX;
}

static void put_legend(const rung_heat_strip *strip, double y, double scale, bool unknown, rung_buffer *out)
{
    static const char small[] = "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333333\"";
    static const char at_end[] = "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333333\" text-anchor=\"end\"";
    char digits[RUNG_NUMBER_BYTES];
    rung_buffer label = {0};
    put_line_of_text("importance 0", MARGIN_PX, y + 16, small, out);
    for (int shade = 0; shade < SHADES; shade++) {
        rung_buffer_format(out, "<rect x=\"%d\" y=\"%.0f\" width=\"16\" height=\"16\" stroke=\"#cccccc\" fill=\"",
                           MARGIN_PX + 88 + 16 * shade, y + 4);
        put_colour((double)shade / (SHADES - 1), out);
        rung_buffer_text(out, "\"/>\n");
    }
    rung_buffer_format(&label, "%s and more%s", rung_print_rounded(scale, 3, digits),
                       unknown ? "; dashed: the model did not read it" : "");
    put_line_of_text(label.failed ? "" : label.data, MARGIN_PX + 88 + 16 * SHADES + 6, y + 16, small, out);
    rung_buffer_deinit(&label);
    if (strip->struck_legend != NULL) {
        size_t length = strlen(strip->struck_legend);
        double text_px = 6.4 * (double)length;
        put_line_of_text(strip->struck_legend, WIDTH_PX - MARGIN_PX, y + 16, at_end, out);
        put_struck(WIDTH_PX - MARGIN_PX - text_px - 34, y, 26, out);
    }
}

/* The importance that 95 % of the known ones do not exceed; 0 when none is known. */
static rung_status find_scale(const rung_heat_strip *strip, double *scale, bool *unknown, rung_error *error)
{
    double *known = rung_alloc(strip->num_words, sizeof *known, "the words of a figure", error);
    if (known == NULL) {
        return RUNG_NO_MEMORY;
    }
    size_t count = 0;
    for (size_t w = 0; w < strip->num_words; w++) {
        double importance = strip->words[w].importance;
        if (importance < 0 || isinf(importance)) {
            free(known);
            return rung_fail(error, RUNG_INVALID,
                             "word %zu of a heat strip has the importance %g; it must be finite and at least 0", w,
                             importance);
        }
        known[count] = importance;
        count += isnan(importance) ? 0 : 1;
    }
    rung_sort(known, count);
    *scale = count > 0 ? rung_quantile(known, count, 0.95) : 0;
    *unknown = count < strip->num_words;
    free(known);
    return RUNG_OK;
}

rung_status rung_heat_strip_svg(const rung_heat_strip *strip, rung_buffer *out, rung_error *error)
{
    double scale;
    bool unknown;
    rung_buffer words = {0};
    rung_status status = find_scale(strip, &scale, &unknown, error);
    if (status != RUNG_OK) {
        return status;
    }
    double top = strip->note != NULL ? 66 : 44;
    double bottom = put_words(strip, top, scale, &words); /* the picture's height comes before them */
    status = rung_buffer_check(&words, "a heat strip", error);
    if (status == RUNG_OK) {
        rung_buffer_format(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 %d %.0f\" "
            "font-family=\"DejaVu Sans Mono, monospace\" font-size=\"15\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            WIDTH_PX, bottom + LEGEND_PX, WIDTH_PX, bottom + LEGEND_PX);
        put_line_of_text(strip->title, MARGIN_PX, 28, "font-family=\"sans-serif\" font-size=\"16\" fill=\"#111111\"",
                         out);
        if (strip->note != NULL) {
            put_line_of_text(strip->note, MARGIN_PX, 50, "font-family=\"sans-serif\" font-size=\"13\" fill=\"#444444\"",
                             out);
        }
        rung_buffer_append(out, words.data, words.length);
        put_legend(strip, bottom + 8, scale, unknown, out);
        rung_buffer_text(out, "</svg>\n");
        status = rung_buffer_check(out, "a heat strip", error);
    }
    rung_buffer_deinit(&words);
    return status;
}

rung_status rung_heat_strip_write(const rung_heat_strip *strip, const char *path, rung_error *error)
{
    rung_buffer svg = {0};
    rung_status status = rung_heat_strip_svg(strip, &svg, error);
    if (status == RUNG_OK) {
        status = rung_write_file(path, svg.data, svg.length, error);
    }
    rung_buffer_deinit(&svg);
    return status;
}
