/* plot_range.c: ranges, logarithmic ticks, places for labels. See plot_range.h. */
#include "eval/plot_range.h"

#include "base/math.h"
#include "config/number.h"

#include <math.h>

#define CHARACTER_PX 6.8 /* of a label's text at 12 px, on average */
#define LINE_PX 14
#define GAP_PX 7 /* between a point's centre and its label */

rung_plot_range rung_plot_range_of(const rung_plot_axis *axis, double least, double greatest)
{
    if (axis->low != axis->high) {
        return (rung_plot_range){axis->low, axis->high, axis->log};
    }
    if (axis->log) {
        double margin = rung_exp(fmax(0.04 * rung_log(greatest / least), 0.1));
        return (rung_plot_range){least / margin, greatest * margin, true};
    }
    double margin = greatest > least ? 0.05 * (greatest - least) : fmax(0.05 * fabs(greatest), 0.5);
    /* An axis that would start near 0 starts there. */
    bool from_zero = least >= 0 && least <= 0.35 * greatest;
    return (rung_plot_range){from_zero ? 0 : least - margin, greatest + margin, false};
}

double rung_plot_range_at(rung_plot_range range, double value)
{
    return range.log ? rung_log(value / range.low) / rung_log(range.high / range.low)
                     : (value - range.low) / (range.high - range.low);
}

static double power_of_ten(int exponent)
{
    double power = 1;
    for (int i = 0; i < exponent; i++) {
        power *= 10;
    }
    return power;
}

/* Of the power of ten at or below value, give or take one by rounding; value > 0. */
static int exponent_of(double value)
{
    return (int)floor(rung_log(value) / rung_log(10));
}

void rung_plot_log_ticks(rung_plot_range range, rung_buffer *out)
{
    static const char few[] = {1, 0};
    static const char some[] = {1, 2, 5, 0};
    static const char many[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0};
    double decades = rung_log(range.high / range.low) / rung_log(10);
    const char *steps = decades <= 1 ? many : decades <= 3.5 ? some : few;
    int last = exponent_of(range.high) + 1;
    bool first = true;
    for (int exponent = exponent_of(range.low) - 1; exponent <= last; exponent++) {
        for (const char *step = steps; *step != 0; step++) {
            double value = exponent < 0 ? *step / power_of_ten(-exponent) : *step * power_of_ten(exponent);
            if (value >= range.low && value <= range.high) {
                char digits[RUNG_NUMBER_BYTES];
                rung_buffer_format(out, "%s%s", first ? "" : ", ", rung_print_rounded(value, 6, digits));
                first = false;
            }
        }
    }
}

static double overlap(rung_plot_box a, rung_plot_box b)
{
    double width = fmin(a.right, b.right) - fmax(a.left, b.left);
    double height = fmin(a.bottom, b.bottom) - fmax(a.top, b.top);
    return width > 0 && height > 0 ? width * height : 0;
}

/* sideways, up: -1, 0 or 1, the direction from the point. */
static rung_plot_place place_at(double width, double x, double y, int sideways, int up)
{
    static const char *const justify[] = {"right", "center", "left"};
    double gap = sideways != 0 && up != 0 ? 0.7 * GAP_PX : GAP_PX;
    double dx = sideways * gap;
    double dy = up * (gap + 0.5 * LINE_PX - (sideways != 0 ? 3 : 0));
    double left = x + dx - (sideways < 0 ? width : sideways == 0 ? width / 2 : 0);
    rung_plot_box box = {left, y - dy - 0.5 * LINE_PX, left + width, y - dy + 0.5 * LINE_PX};
    return (rung_plot_place){justify[sideways + 1], dx, dy, box};
}

rung_plot_place rung_plot_place_label(size_t characters, double x, double y, const rung_plot_box *boxes, size_t count,
                                      rung_plot_box frame)
{
    static const int directions[8][2] = {{1, 0}, {1, -1}, {1, 1}, {0, 1}, {0, -1}, {-1, 0}, {-1, 1}, {-1, -1}};
    double width = (double)characters * CHARACTER_PX;
    rung_plot_place best = {0};
    double least = INFINITY;
    for (size_t d = 0; d < 8; d++) {
        rung_plot_place place = place_at(width, x, y, directions[d][0], directions[d][1]);
        double cost = 4 * (width * LINE_PX - overlap(place.box, frame));
        for (size_t i = 0; i < count; i++) {
            cost += overlap(place.box, boxes[i]);
        }
        /* Areas differ by rounding; a place must be better by a square pixel to be another. */
        if (cost < least - 1) {
            least = cost;
            best = place;
        }
    }
    return best;
}
