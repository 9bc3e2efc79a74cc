/* calibration_file.h: calibration.json, what rung fit learned for one cascade in one precision. Written by src/fit, read when a cascade is
 * loaded. Knows no model: rung_calibration_file_check compares with what the caller found in them. */
#ifndef RUNG_CONFIG_CALIBRATION_FILE_H
#define RUNG_CONFIG_CALIBRATION_FILE_H

#include "base/buffer.h"
#include "base/hash.h"
#include "cascade/policy.h"
#include "model/model.h"

#define RUNG_CALIBRATION_VERSION 1
#define RUNG_MIN_TEMPERATURE 0.05
#define RUNG_MAX_TEMPERATURE 20.0

/* The exit after one layer. */
typedef struct rung_calibration_exit {
    uint32_t layer;     /* 1-based */
    double temperature; /* Eq 6, in [RUNG_MIN_TEMPERATURE, RUNG_MAX_TEMPERATURE] */
    double accuracy;    /* in [0, 1] */
    double nll_before;  /* mean negative log likelihood at T = 1, >= 0 */
    double nll_after;   /* at the fitted T */
} rung_calibration_exit;

typedef struct rung_calibration_level {
    char *name;
    char model_sha256[RUNG_SHA256_HEX_BYTES];
    uint32_t num_layers;
    size_t num_exits;
    rung_calibration_exit *exits; /* [num_exits], layers rising; the last is after num_layers */
    double accuracy;              /* of the last exit */
    bool has_threshold;           /* the top level needs none */
    double threshold;             /* t that was chosen, in [0, 1] */
    double agreement;             /* with the top level, of what this level answers under threshold; 1 at the top */
    double answered;              /* share of the inputs that this level answers */
} rung_calibration_level;

/* Zero-initialise; release with rung_calibration_file_deinit. */
typedef struct rung_calibration_file {
    char *path; /* for messages; NULL when it was made here */
    rung_precision precision;
    rung_task task;
    size_t num_labels;
    char **labels; /* [num_labels] after renaming, in order of id of the first level */
    char *data_name;
    char data_sha256[RUNG_SHA256_HEX_BYTES];
    uint64_t data_rows;
    double target_agreement;
    uint64_t seed;
    char policy_name[32];  /* the policy that the thresholds were chosen for */
    rung_exit_policy exit; /* and its exit rule */
    uint32_t num_levels;
    rung_calibration_level levels[RUNG_MAX_LEVELS];
    double *temperatures
        [RUNG_MAX_LEVELS]; /* [num_layers] by layer, 1 where a layer has no exit; made by rung_calibration_file_view */
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

/* A calibration that says nothing: T = 1, equal accuracies. For cascades without a file. num_layers, names and hashes are those of the models. */
rung_status rung_calibration_file_identity(uint32_t num_levels, const rung_model *const *models, /* [num_levels] */
                                           rung_calibration_file *file, rung_error *error) RUNG_WARN_UNUSED;

/* The file belongs to these models: number of levels, hashes, layers, precision, task, labels. RUNG_MISMATCH names what differs. `labels` are the names
 * after renaming, in the order of the first level. */
rung_status rung_calibration_file_check(const rung_calibration_file *file, uint32_t num_levels,
                                        const rung_model *const *models, /* [num_levels] */
                                        const char *const *labels, size_t num_labels,
                                        rung_error *error) RUNG_WARN_UNUSED;

#endif
