/* logistic.c: multinomial logistic regression by L-BFGS. See logistic.h.
 * Minimised is mean NLL + l2 / 2 * (sum of squared weights) over standardised features; biases are free. Rows are taken in their order and
 * sums have lanes in a fixed order, so that the same data gives the same bits for any number of threads. The [CLS] features of an encoder are
 * so much alike that L-BFGS needs hundreds of steps on them; so it moves in u with w = L'^-1 u, where L L' = a covariance + l2 is about the
 * Hessian at the start, and needs a dozen or two. Source: L-BFGS of Liu and Nocedal 1989 as in libLBFGS; the gradient of the softmax loss is
 * (p - y) x, its Hessian at equal probabilities 1/K (1 - 1/K) x x' within a class. */
#include "fit/logistic.h"

#include "base/checked.h"
#include "base/hash.h"
#include "base/math.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <assert.h>
#include <lbfgs.h>
#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
#define SPLIT_SEED 8 /* four of the first RUNG_LOGISTIC_MIN_ROWS positions are held out under it */
#define SPLIT_PARTS 5
#define MAX_ITERATIONS 300
#define EPSILON 1e-4 /* of the gradient's norm over that of the parameters */
#define HISTORY 10
#define COVARIANCE_ROWS 1024

/* Strong to weak; at equal loss the stronger stays. */
static const double penalties[] = {1, 0.1, 0.01, 1e-3, 1e-4};
enum { NUM_PENALTIES = sizeof penalties / sizeof penalties[0] };

/* The data, standardised, and its split; shared by the candidates and not changed while they run. */
typedef struct logistic_problem {
    const rung_logistic_data *data;
    size_t width;       /* num_features rounded up to lanes; the rest are 0 */
    size_t num_free;    /* parameters: [num_classes, width] weights, then [num_classes] biases */
    float *features;    /* [n, width] */
    double *mean;       /* [num_features] */
    double *scale;      /* [num_features] 1 / standard deviation; 0 for a feature that never changes */
    double *covariance; /* [width, width] about; lower triangle, of a sample of the rows */
    uint32_t *rows;     /* [n] the training part, then the part held out */
    uint32_t *all;      /* [n] 0, 1, ... */
    size_t num_train;
} logistic_problem;

/* One minimisation. */
typedef struct candidate {
    const logistic_problem *problem;
    const uint32_t *rows; /* to fit on */
    size_t num_rows;
    double l2;
    double curvature;   /* a */
    double *factor;     /* [width, width] L, lower triangle */
    double *parameters; /* [num_free] of the features, worked out from those that L-BFGS moves */
    double *scores;     /* [num_classes] of one row, then its probabilities less its targets */
    unsigned iterations;
} candidate;

static double add_lanes(double *lanes)
{
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++) {
            lanes[j] += lanes[j + half];
        }
    }
    return lanes[0];
}

static double dot(const float *a, const double *b, size_t width)
{
    double lanes[LANES] = {0};
    for (size_t i = 0; i < width; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            lanes[j] += (double)a[i + j] * b[i + j];
        }
    }
    return add_lanes(lanes);
}

static double dot_doubles(const double *a, const double *b, size_t n)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            lanes[j] += a[i + j] * b[i + j];
        }
    }
    for (; i < n; i++) {
        lanes[0] += a[i] * b[i];
    }
    return add_lanes(lanes);
}

static void add_scaled(double *restrict sum, double factor, const float *restrict a, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        sum[i] += factor * (double)a[i];
    }
}

/* The negative log likelihood of one row; scores [num_classes] become probabilities less targets, the gradient by the scores. */
static double row_loss(const logistic_problem *problem, size_t row, const double *parameters, double *scores)
{
    const rung_logistic_data *data = problem->data;
    size_t classes = data->num_classes;
    const double *bias = parameters + classes * problem->width;
    double max = -INFINITY;
    for (size_t c = 0; c < classes; c++) {
        scores[c] =
            bias[c] + dot(problem->features + row * problem->width, parameters + c * problem->width, problem->width);
        max = scores[c] > max ? scores[c] : max;
    }
    const float *targets = data->targets != NULL ? data->targets + row * classes : NULL;
    double target_mean = targets == NULL ? scores[data->labels[row]] - max : 0;
    double target_total = 0;
    for (size_t c = 0; targets != NULL && c < classes; c++) {
        target_mean += (double)targets[c] * (scores[c] - max);
        target_total += (double)targets[c];
    }
    double total = 0;
    for (size_t c = 0; c < classes; c++) {
        scores[c] = rung_exp(scores[c] - max);
        total += scores[c];
    }
    for (size_t c = 0; c < classes; c++) {
        scores[c] /= total;
        if (targets != NULL) {
            scores[c] -= (double)targets[c] / target_total;
        }
    }
    if (targets != NULL) {
        return rung_log(total) - target_mean / target_total;
    }
    scores[data->labels[row]] -= 1;
    return rung_log(total) - target_mean;
}

static double mean_loss(const logistic_problem *problem, const uint32_t *rows, size_t num_rows,
                        const double *parameters, double *scores)
{
    double sum = 0;
    for (size_t i = 0; i < num_rows; i++) {
        sum += row_loss(problem, rows[i], parameters, scores);
    }
    return sum / (double)num_rows;
}

/* Cholesky: L L' = curvature covariance + l2. */
static void factorise(candidate *self)
{
    size_t width = self->problem->width;
    for (size_t i = 0; i < width; i++) {
        double *row = self->factor + i * width;
        const double *covariance = self->problem->covariance + i * width;
        for (size_t j = 0; j < i; j++) {
            const double *other = self->factor + j * width;
            row[j] = (self->curvature * covariance[j] - dot_doubles(row, other, j)) / other[j];
        }
        double pivot = self->curvature * covariance[i] + self->l2 - dot_doubles(row, row, i);
        row[i] = sqrt(pivot > self->l2 / 2 ? pivot : self->l2 / 2); /* at least l2 but for rounding */
    }
}

/* Solves L' w = u in place. */
static void to_weights(const candidate *self, double *u)
{
    size_t width = self->problem->width;
    for (size_t i = width; i-- > 0;) {
        const double *row = self->factor + i * width;
        u[i] /= row[i];
        for (size_t j = 0; j < i; j++) {
            u[j] -= row[j] * u[i];
        }
    }
}

/* Solves L h = g in place: the gradient by u. */
static void to_moved(const candidate *self, double *g)
{
    size_t width = self->problem->width;
    for (size_t i = 0; i < width; i++) {
        const double *row = self->factor + i * width;
        g[i] = (g[i] - dot_doubles(row, g, i)) / row[i];
    }
}

/* The parameters of the features from those that L-BFGS moves. */
static void map_parameters(const candidate *self, const double *moved, double *parameters)
{
    size_t width = self->problem->width;
    size_t weights = self->problem->data->num_classes * width;
    memcpy(parameters, moved, self->problem->num_free * sizeof *parameters);
    for (size_t first = 0; first < weights; first += width) {
        to_weights(self, parameters + first);
    }
    for (size_t i = weights; i < self->problem->num_free; i++) {
        parameters[i] /= sqrt(self->curvature);
    }
}

static void map_gradient(const candidate *self, double *gradient)
{
    size_t width = self->problem->width;
    size_t weights = self->problem->data->num_classes * width;
    for (size_t first = 0; first < weights; first += width) {
        to_moved(self, gradient + first);
    }
    for (size_t i = weights; i < self->problem->num_free; i++) {
        gradient[i] /= sqrt(self->curvature);
    }
}

/* lbfgs_evaluate_t */
static lbfgsfloatval_t evaluate(void *context, const lbfgsfloatval_t *moved, lbfgsfloatval_t *gradient,
                                const int num_free, const lbfgsfloatval_t step)
{
    candidate *self = context;
    const logistic_problem *problem = self->problem;
    size_t classes = problem->data->num_classes;
    size_t width = problem->width;
    double *parameters = self->parameters;
    double loss = 0;
    (void)step;
    map_parameters(self, moved, parameters);
    for (size_t i = 0; i < (size_t)num_free; i++) {
        gradient[i] = 0;
    }
    for (size_t i = 0; i < self->num_rows; i++) {
        size_t row = self->rows[i];
        loss += row_loss(problem, row, parameters, self->scores);
        for (size_t c = 0; c < classes; c++) {
            add_scaled(gradient + c * width, self->scores[c], problem->features + row * width, width);
            gradient[classes * width + c] += self->scores[c];
        }
    }
    double squares = 0;
    double n = (double)self->num_rows;
    for (size_t i = 0; i < (size_t)num_free; i++) {
        double l2 = i < classes * width ? self->l2 : 0;
        squares += l2 * parameters[i] * parameters[i];
        gradient[i] = gradient[i] / n + l2 * parameters[i];
    }
    map_gradient(self, gradient);
    return loss / n + squares / 2;
}

/* lbfgs_progress_t: counts. */
static int count_iteration(void *context, const lbfgsfloatval_t *x, const lbfgsfloatval_t *g, const lbfgsfloatval_t fx,
                           const lbfgsfloatval_t xnorm, const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int n,
                           int k, int ls)
{
    candidate *self = context;
    (void)x, (void)g, (void)fx, (void)xnorm, (void)gnorm, (void)step, (void)n, (void)ls;
    self->iterations = (unsigned)k;
    return 0;
}

/* moved [num_free], from lbfgs_malloc and zero, goes to the least loss; self->parameters follow. */
static rung_status minimise(candidate *self, double *moved, rung_error *error)
{
    lbfgs_parameter_t options;
    lbfgs_parameter_init(&options);
    options.m = HISTORY;
    options.epsilon = EPSILON;
    options.max_iterations = MAX_ITERATIONS;
    int result = lbfgs((int)self->problem->num_free, moved, NULL, evaluate, count_iteration, self, &options);
    if (result == LBFGSERR_OUTOFMEMORY) {
        return rung_fail_memory(error, "L-BFGS", self->problem->num_free * sizeof *moved);
    }
    /* A line search that cannot improve any more leaves the best parameters; so does the limit of iterations. */
    map_parameters(self, moved, self->parameters);
    for (size_t i = 0; i < self->problem->num_free; i++) {
        if (!isfinite(self->parameters[i])) {
            return rung_fail(error, RUNG_INVALID,
                             "the logistic fit with penalty %g diverged: parameter %zu is not finite", self->l2, i);
        }
    }
    return RUNG_OK;
}

static void candidate_deinit(candidate *self)
{
    free(self->factor);
    free(self->parameters);
    free(self->scores);
}

/* Fits on `rows` from zero. On success the caller deinits *out, which has the parameters. */
static rung_status fit_rows(const logistic_problem *problem, const uint32_t *rows, size_t num_rows, double l2,
                            candidate *out, rung_error *error)
{
    size_t classes = problem->data->num_classes;
    double share = 1 / (double)classes;
    candidate self = {
        .problem = problem, .rows = rows, .num_rows = num_rows, .l2 = l2, .curvature = share * (1 - share)};
    self.factor = rung_alloc(problem->width * problem->width, sizeof *self.factor, "factor", error);
    self.parameters = rung_alloc(problem->num_free, sizeof *self.parameters, "parameters", error);
    self.scores = rung_alloc(classes, sizeof *self.scores, "scores", error);
    double *moved = lbfgs_malloc((int)problem->num_free);
    rung_status status = RUNG_OK;
    if (self.factor == NULL || self.parameters == NULL || self.scores == NULL) {
        status = RUNG_NO_MEMORY;
    } else if (moved == NULL) {
        status = rung_fail_memory(error, "parameters", problem->num_free * sizeof *moved);
    }
    if (status == RUNG_OK && moved != NULL) {
        memset(moved, 0, problem->num_free * sizeof *moved);
        factorise(&self);
        status = minimise(&self, moved, error);
    }
    lbfgs_free(moved);
    if (status != RUNG_OK) {
        candidate_deinit(&self);
        return status;
    }
    *out = self;
    return RUNG_OK;
}

/* The candidates; each slot belongs to the worker that took it. */
typedef struct search {
    const logistic_problem *problem;
    atomic_size_t next;
    double nll[NUM_PENALTIES]; /* on the part held out */
    rung_status status[NUM_PENALTIES];
    rung_error error[NUM_PENALTIES];
} search;

static rung_status try_penalty(const logistic_problem *problem, double l2, double *nll, rung_error *error)
{
    candidate tried;
    rung_status status = fit_rows(problem, problem->rows, problem->num_train, l2, &tried, error);
    if (status == RUNG_OK) {
        *nll = mean_loss(problem, problem->rows + problem->num_train, problem->data->n - problem->num_train,
                         tried.parameters, tried.scores);
        candidate_deinit(&tried);
    }
    return status;
}

/* Works of rung_parallel. */
static void try_penalties(void *context, size_t worker)
{
    search *shared = context;
    (void)worker;
    for (;;) {
        size_t i = atomic_fetch_add(&shared->next, 1);
        if (i >= NUM_PENALTIES) {
            return;
        }
        shared->status[i] = try_penalty(shared->problem, penalties[i], &shared->nll[i], &shared->error[i]);
    }
}

static rung_status choose_penalty(const logistic_problem *problem, size_t threads, rung_logistic_fit *fit,
                                  rung_error *error)
{
    search shared = {.problem = problem};
    atomic_init(&shared.next, 0);
    rung_parallel(threads < NUM_PENALTIES ? threads : NUM_PENALTIES, try_penalties, &shared);
    size_t best = 0;
    for (size_t i = 0; i < NUM_PENALTIES; i++) {
        if (shared.status[i] != RUNG_OK) {
            return rung_fail(error, shared.status[i], "%s", shared.error[i].message);
        }
        best = shared.nll[i] < shared.nll[best] ? i : best;
    }
    fit->l2 = penalties[best];
    fit->validation_nll = shared.nll[best];
    return RUNG_OK;
}

/* Mean and spread of every feature, row by row in doubles. */
static void measure(logistic_problem *problem)
{
    const rung_logistic_data *data = problem->data;
    double n = (double)data->n;
    for (size_t i = 0; i < data->n; i++) {
        for (size_t f = 0; f < data->num_features; f++) {
            problem->mean[f] += (double)data->features[i * data->stride + f];
        }
    }
    for (size_t f = 0; f < data->num_features; f++) {
        problem->mean[f] /= n;
    }
    for (size_t i = 0; i < data->n; i++) {
        for (size_t f = 0; f < data->num_features; f++) {
            double difference = (double)data->features[i * data->stride + f] - problem->mean[f];
            problem->scale[f] += difference * difference;
        }
    }
    for (size_t f = 0; f < data->num_features; f++) {
        double deviation = sqrt(problem->scale[f] / n);
        /* What rounding alone can leave of a constant is no spread. */
        problem->scale[f] = deviation > 1e-7 * fabs(problem->mean[f]) ? 1 / deviation : 0;
    }
}

static void standardise(logistic_problem *problem)
{
    const rung_logistic_data *data = problem->data;
    measure(problem);
    for (size_t i = 0; i < data->n; i++) {
        const float *in = data->features + i * data->stride;
        float *out = problem->features + i * problem->width;
        for (size_t f = 0; f < data->num_features; f++) {
            out[f] = (float)(((double)in[f] - problem->mean[f]) * problem->scale[f]);
        }
    }
}

/* Of at most COVARIANCE_ROWS rows evenly spread over all: it only has to be about right. */
static void sample_covariance(logistic_problem *problem)
{
    size_t n = problem->data->n;
    size_t width = problem->width;
    size_t taken = n < COVARIANCE_ROWS ? n : COVARIANCE_ROWS;
    for (size_t i = 0; i < taken; i++) {
        const float *row = problem->features + i * n / taken * width;
        for (size_t f = 0; f < width; f++) {
            add_scaled(problem->covariance + f * width, (double)row[f] / (double)taken, row, f + 1);
        }
    }
}

static void split(logistic_problem *problem)
{
    size_t n = problem->data->n;
    size_t train = 0;
    size_t held_out = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t position = i;
        bool out = rung_xxh64(&position, sizeof position, SPLIT_SEED) % SPLIT_PARTS == 0;
        problem->rows[out ? --held_out : train++] = (uint32_t)i;
        problem->all[i] = (uint32_t)i;
    }
    problem->num_train = train;
    assert(train > 0 && train < n);
}

static void free_problem(logistic_problem *problem)
{
    free(problem->features);
    free(problem->mean);
    free(problem->scale);
    free(problem->covariance);
    free(problem->rows);
    free(problem->all);
}

static rung_status make_problem(const rung_logistic_data *data, logistic_problem *problem, rung_error *error)
{
    *problem = (logistic_problem){.data = data};
    size_t n = data->n;
    size_t weights;
    problem->width = rung_round_up(data->num_features, LANES);
    if (!rung_mul_size(data->num_classes, problem->width + 1, &weights) || weights > INT_MAX - LANES) {
        return rung_fail(error, RUNG_LIMIT, "%zu classes of %zu features are more than %d weights", data->num_classes,
                         data->num_features, INT_MAX - LANES);
    }
    problem->num_free = rung_round_up(weights, LANES); /* what libLBFGS with SSE2 asks for */
    size_t bytes;
    if (!rung_mul_size(n, problem->width, &bytes)) {
        return rung_fail(error, RUNG_LIMIT, "%zu rows of %zu features do not fit into memory", n, data->num_features);
    }
    problem->features = rung_alloc_aligned(bytes, sizeof *problem->features, "features", error);
    problem->mean = rung_alloc(data->num_features, sizeof *problem->mean, "means", error);
    problem->scale = rung_alloc(data->num_features, sizeof *problem->scale, "scales", error);
    problem->covariance = rung_alloc(problem->width * problem->width, sizeof *problem->covariance, "covariance", error);
    problem->rows = rung_alloc(n, sizeof *problem->rows, "rows", error);
    problem->all = rung_alloc(n, sizeof *problem->all, "rows", error);
    if (problem->features == NULL || problem->mean == NULL || problem->scale == NULL || problem->covariance == NULL ||
        problem->rows == NULL || problem->all == NULL) {
        free_problem(problem);
        return RUNG_NO_MEMORY;
    }
    standardise(problem);
    sample_covariance(problem);
    split(problem);
    return RUNG_OK;
}

/* From standardised features back to those that came: w' = w / sd, b' = b - sum of w' mean. */
static void fold_back(const logistic_problem *problem, const double *parameters, float *weight, float *bias)
{
    size_t features = problem->data->num_features;
    size_t classes = problem->data->num_classes;
    for (size_t c = 0; c < classes; c++) {
        double constant = parameters[classes * problem->width + c];
        for (size_t f = 0; f < features; f++) {
            double w = parameters[c * problem->width + f] * problem->scale[f];
            weight[c * features + f] = (float)w;
            constant -= w * problem->mean[f];
        }
        bias[c] = (float)constant;
    }
}

static rung_status check_shape(const rung_logistic_data *data, rung_error *error)
{
    if (data->n < RUNG_LOGISTIC_MIN_ROWS) {
        return rung_fail(error, RUNG_INVALID, "%zu rows to fit a head on; at least %d are needed", data->n,
                         RUNG_LOGISTIC_MIN_ROWS);
    }
    if (data->n > UINT32_MAX) {
        return rung_fail(error, RUNG_LIMIT, "%zu rows to fit a head on; the limit is %u", data->n, UINT32_MAX);
    }
    if (data->num_classes < 2) {
        return rung_fail(error, RUNG_INVALID, "%zu classes to fit a head for; at least 2 are needed",
                         data->num_classes);
    }
    if (data->num_features < 1 || data->stride < data->num_features) {
        return rung_fail(error, RUNG_INVALID,
                         "%zu features with a stride of %zu; at least 1, and no more than the stride",
                         data->num_features, data->stride);
    }
    return RUNG_OK;
}

static rung_status check_features(const rung_logistic_data *data, rung_error *error)
{
    for (size_t i = 0; i < data->n; i++) {
        for (size_t f = 0; f < data->num_features; f++) {
            float value = data->features[i * data->stride + f];
            if (!isfinite(value)) {
                return rung_fail(error, RUNG_INVALID, "row %zu: feature %zu is %g; it must be finite", i, f,
                                 (double)value);
            }
        }
    }
    return RUNG_OK;
}

static rung_status check_targets(const rung_logistic_data *data, size_t row, rung_error *error)
{
    double sum = 0;
    for (size_t c = 0; c < data->num_classes; c++) {
        double y = (double)data->targets[row * data->num_classes + c];
        if (!(y >= 0)) {
            return rung_fail(error, RUNG_INVALID, "row %zu: the target of class %zu is %g; it must be 0 or above", row,
                             c, y);
        }
        sum += y;
    }
    if (!(fabs(sum - 1) <= 0.001)) {
        return rung_fail(error, RUNG_INVALID, "row %zu: the targets add up to %g; they must add up to 1", row, sum);
    }
    return RUNG_OK;
}

/* The class of a row: its label, or the first with all the mass; num_classes when the mass is spread. */
static size_t only_class(const rung_logistic_data *data, size_t row)
{
    if (data->targets == NULL) {
        return data->labels[row];
    }
    size_t found = data->num_classes;
    for (size_t c = 0; c < data->num_classes; c++) {
        if (data->targets[row * data->num_classes + c] > 0) {
            if (found != data->num_classes) {
                return data->num_classes;
            }
            found = c;
        }
    }
    return found;
}

static rung_status check_truth(const rung_logistic_data *data, rung_error *error)
{
    bool one_class = true;
    for (size_t i = 0; i < data->n; i++) {
        if (data->targets == NULL && data->labels[i] >= data->num_classes) {
            return rung_fail(error, RUNG_INVALID, "row %zu: label %u; it must be below %zu, the number of classes", i,
                             data->labels[i], data->num_classes);
        }
        rung_status status = data->targets != NULL ? check_targets(data, i, error) : RUNG_OK;
        if (status != RUNG_OK) {
            return status;
        }
        size_t class = only_class(data, i);
        one_class = one_class && class < data->num_classes && class == only_class(data, 0);
    }
    if (one_class) {
        return rung_fail(error, RUNG_INVALID, "all %zu rows have label %zu; a head needs at least 2 classes", data->n,
                         only_class(data, 0));
    }
    return RUNG_OK;
}

static rung_status solve(const logistic_problem *problem, size_t threads, float *weight, float *bias,
                         rung_logistic_fit *fit, rung_error *error)
{
    rung_logistic_fit found = {0};
    rung_status status = choose_penalty(problem, threads, &found, error);
    if (status != RUNG_OK) {
        return status;
    }
    candidate last;
    status = fit_rows(problem, problem->all, problem->data->n, found.l2, &last, error);
    if (status != RUNG_OK) {
        return status;
    }
    found.iterations = last.iterations;
    found.nll = mean_loss(problem, problem->all, problem->data->n, last.parameters, last.scores);
    fold_back(problem, last.parameters, weight, bias);
    *fit = found;
    candidate_deinit(&last);
    return RUNG_OK;
}

rung_status rung_fit_logistic(const rung_logistic_data *data, size_t threads, float *weight, float *bias,
                              rung_logistic_fit *fit, rung_error *error)
{
    rung_status status = check_shape(data, error);
    if (status == RUNG_OK) {
        status = check_features(data, error);
    }
    if (status == RUNG_OK) {
        status = check_truth(data, error);
    }
    logistic_problem problem;
    if (status == RUNG_OK) {
        status = make_problem(data, &problem, error);
    }
    if (status != RUNG_OK) {
        return status;
    }
    status = solve(&problem, threads, weight, bias, fit, error);
    free_problem(&problem);
    return status;
}
