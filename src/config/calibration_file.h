/* calibration_file.h: calibration.json, what rung fit learned for one cascade in one precision. Written by src/fit, read when a cascade is
 * loaded. Knows no model: rung_calibration_file_check compares with what the caller found in them. */
#ifndef RUNG_CONFIG_CALIBRATION_FILE_H
#define RUNG_CONFIG_CALIBRATION_FILE_H

#include "base/buffer.h"
#include "base/hash.h"
#include "cascade/deferral.h"
#include "config/remote_config.h"
#include "model/model.h"

#define RUNG_CALIBRATION_VERSION 2
#define RUNG_MIN_TEMPERATURE 0.05
#define RUNG_MAX_TEMPERATURE 20.0
#define RUNG_MIN_SHAPE 0.25
#define RUNG_MAX_SHAPE 4.0

/* The exit after one layer. */
typedef struct rung_calibration_exit {
    uint32_t layer;     /* 1-based */
    double temperature; /* Eq 6, in [RUNG_MIN_TEMPERATURE, RUNG_MAX_TEMPERATURE] */
    double shape;       /* of the logits before it (rung_shape_logits), in [RUNG_MIN_SHAPE, RUNG_MAX_SHAPE] */
    double accuracy;    /* in [0, 1] */
    double nll_before;  /* mean negative log likelihood at T = 1 and shape 1, >= 0 */
    double nll_after;   /* at the fitted ones */
    double ece;         /* equal-mass calibration error at the fitted ones, in [0, 1] */
    /* A head that was fitted on frozen states, for a model without its own one here; NULL: none. */
    float *head_weight; /* [num_labels, hidden_size] */
    float *head_bias;   /* [num_labels] */
    /* Learned deferral (cascade/deferral.h); NULL: none. */
    float *deferral_weight; /* [hidden_size + RUNG_DEFERRAL_SCORES] */
    double deferral_bias;
} rung_calibration_exit;

typedef struct rung_calibration_level {
    char *name;
    /* A level whose model another server has: one layer and exit, no tokenizer, and its model_sha256 is that of `identity`. */
    bool is_remote;
    rung_remote remote;
    char *identity; /* what that server said of its model (net/protocol.h); NULL: not remote */
    char model_sha256[RUNG_SHA256_HEX_BYTES];
    /* With the three below a node that has only its own model knows whether token ids may travel. */
    char tokenizer_sha256[RUNG_SHA256_HEX_BYTES];
    uint32_t max_tokens;
    uint32_t type_vocab_size;
    uint32_t num_layers;
    uint32_t hidden_size;
    size_t num_exits;
    rung_calibration_exit *exits; /* [num_exits], layers rising; the last is after num_layers */
    double accuracy;              /* of the last exit */
    double *class_accuracy; /* [num_labels] share of each label's inputs that the last exit gets right; NULL: none */
    bool has_threshold;     /* the top level needs none */
    double threshold;       /* t that was chosen, in [0, 1] */
    double agreement;       /* with the top level, of what this level answers under threshold; 1 at the top */
    double answered;        /* share of the inputs that this level answers */
    bool has_deferral_threshold;
    double deferral_threshold; /* t for 1 - q in the place of the confidence (policy.defer learned) */
    double deferral_answered;  /* share of the inputs that this level answers under it */
} rung_calibration_level;

/* What was fitted for one set of visited levels: see rung_pool. */
typedef struct rung_calibration_pool {
    uint32_t set;                          /* bit l: level l + 1; at least one */
    uint64_t rows;                         /* inputs that it was fitted on */
    double accuracy_temperature;           /* in [RUNG_MIN_TEMPERATURE, RUNG_MAX_TEMPERATURE] */
    double accuracy_nll;                   /* at that temperature */
    double fitted_temperature;             /* in the same range */
    double fitted_nll;                     /* with the weights below, at that temperature */
    double fitted_ece;                     /* equal-mass calibration error, in [0, 1] */
    double fitted_weight[RUNG_MAX_LEVELS]; /* by level - 1, in [0, 1]; 0 outside the set; adding up to 1 */
} rung_calibration_pool;

typedef enum rung_labels_from {
    RUNG_LABELS_FROM_DATA,
    RUNG_LABELS_FROM_TOP, /* no labels: what the top level says of the full text stands for the truth */
} rung_labels_from;

/* The policy that the thresholds were chosen for. */
typedef struct rung_calibration_policy {
    char name[32];         /* that rung_policy_defaults takes for num_levels */
    rung_exit_policy exit; /* entropy: only with RUNG_EXIT_ENTROPY */
    rung_variant variant;
    rung_weights weights;
    rung_defer defer;
    bool pooled_decision;
    bool raw_ensemble;
} rung_calibration_policy;

/* Zero-initialise; release with rung_calibration_file_deinit. */
typedef struct rung_calibration_file {
    char *path; /* for messages; NULL when it was made here */
    rung_precision precision;
    rung_task task;
    size_t num_labels;
    char **labels; /* [num_labels] after renaming, in order of id of the first level */
    rung_labels_from labels_from;
    char *data_name;
    char data_sha256[RUNG_SHA256_HEX_BYTES];
    uint64_t data_rows;
    double target_agreement;
    uint64_t seed;
    rung_calibration_policy policy;
    uint32_t num_levels;
    rung_calibration_level levels[RUNG_MAX_LEVELS];
    size_t num_pools;
    rung_calibration_pool *pools; /* [num_pools], sets rising */
    /* Made by rung_calibration_file_view. */
    double *temperatures[RUNG_MAX_LEVELS];     /* [num_layers] by layer, then as many shapes; 1 without an exit */
    rung_deferral *deferrals[RUNG_MAX_LEVELS]; /* [num_layers] by layer; NULL: the level has none */
    rung_pool *pools_by_set;                   /* [1 << num_levels]; NULL: none */
} rung_calibration_file;

void rung_calibration_file_deinit(rung_calibration_file *file);

/* Every error names the file, the field, its value and the limit. */
rung_status rung_calibration_file_load(const char *path, rung_calibration_file *file,
                                       rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_calibration_file_parse(const char *json, size_t bytes, const char *name, rung_calibration_file *file,
                                        rung_error *error) RUNG_WARN_UNUSED;

/* Equal contents give equal bytes. RUNG_INVALID when a field is outside its range: what is written can be read. */
rung_status rung_calibration_file_save(const rung_calibration_file *file, const char *path,
                                       rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_calibration_file_print(const rung_calibration_file *file, rung_buffer *out,
                                        rung_error *error) RUNG_WARN_UNUSED;

/* What src/cascade reads. *calibration lends from *file, which must stay. */
rung_status rung_calibration_file_view(rung_calibration_file *file, rung_calibration *calibration,
                                       rung_error *error) RUNG_WARN_UNUSED;

/* A calibration that says nothing: T = 1, equal accuracies. For cascades without a file. num_layers, names and hashes are those of the models; NULL: a
 * remote level, of which nothing is known yet. */
rung_status rung_calibration_file_identity(uint32_t num_levels, const rung_model *const *models, /* [num_levels] */
                                           rung_calibration_file *file, rung_error *error) RUNG_WARN_UNUSED;

/* The file belongs to these models (NULL: not open here, not compared): number of levels, hashes, layers, precision, task, labels. RUNG_MISMATCH names what differs. `labels` are the names
 * after renaming, in the order of the first level. */
rung_status rung_calibration_file_check(const rung_calibration_file *file, uint32_t num_levels,
                                        const rung_model *const *models, /* [num_levels] */
                                        const char *const *labels, size_t num_labels,
                                        rung_error *error) RUNG_WARN_UNUSED;

/* The same but for the labels: what must hold before the file's heads are given to the models. */
rung_status rung_calibration_file_check_models(const rung_calibration_file *file, uint32_t num_levels,
                                               const rung_model *const *models, /* [num_levels] */
                                               rung_error *error) RUNG_WARN_UNUSED;

#endif
