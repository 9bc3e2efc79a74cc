/* options.h: the one table of options. Flags, keys of the YAML files, help, `rung config show`, shell completion and the man page all
 * come from options_table.c. Called by src/cli (flags and texts) and the loaders of src/config (keys). A later source
 * overrides an earlier one: default, policy, calibration, file, flag.
 *
 * A key "policy.exit.tau" is the flag "--policy.exit.tau 0.02" (or =0.02). Keys of a level are "levels[].speed" in the table, "levels: - speed:" in
 * a file and "--levels.2.speed" as a flag. */
#ifndef RUNG_CONFIG_OPTIONS_H
#define RUNG_CONFIG_OPTIONS_H

#include "base/buffer.h"
#include "cascade/policy.h"

typedef enum rung_command {
    RUNG_COMMAND_CLASSIFY = 1 << 0,
    RUNG_COMMAND_DEMO = 1 << 1,
    RUNG_COMMAND_QUANTIZE = 1 << 2,
    RUNG_COMMAND_FIT = 1 << 3,
    RUNG_COMMAND_BENCH = 1 << 4,
    RUNG_COMMAND_CONFIG = 1 << 5,
    RUNG_COMMAND_COMPLETION = 1 << 6,
    RUNG_COMMAND_MAN = 1 << 7,
    RUNG_COMMAND_SERVE = 1 << 8,
    RUNG_COMMAND_PROFILE = 1 << 9,
    RUNG_COMMAND_EVAL = 1 << 10,
} rung_command;

typedef struct rung_command_spec {
    rung_command command;
    const char *name;
    const char *arguments; /* for the usage line, "" when there are none */
    uint32_t min_arguments, max_arguments;
    const char *help;        /* one line */
    const char *description; /* for its --help and the man page */
} rung_command_spec;

/* Of a list: one a level, those of a bench, or one an exit. */
#define RUNG_MAX_NUMBERS 32

typedef enum rung_option_type {
    RUNG_TYPE_BOOL,    /* flag without a value, or =true, =false */
    RUNG_TYPE_INTEGER, /* >= 0 */
    RUNG_TYPE_NUMBER,
    RUNG_TYPE_NUMBER_OR_WORD, /* a number or the one word in `choices` */
    RUNG_TYPE_INTEGERS,       /* one whole number or a list: "16,64,128", [16, 64, 128] */
    RUNG_TYPE_NUMBERS,        /* one number or a list: "0.9,0.8", [0.9, 0.8] */
    RUNG_TYPE_LEVELS,         /* numbers of levels, each once: "1,3", [1, 3]; or the one word in `choices` */
    RUNG_TYPE_TEXT,
    RUNG_TYPE_PATH,    /* in a file: relative to the file's directory */
    RUNG_TYPE_CHOICE,  /* one of `choices` */
    RUNG_TYPE_POLICY,  /* a name of rung_policy_defaults: one of `choices`, some with a number in parentheses */
    RUNG_TYPE_VARIANT, /* a name of rung_variant_parse, in the same form */
    RUNG_TYPE_SIZE,
    RUNG_TYPE_TIME,
    RUNG_TYPE_RATE,
    RUNG_TYPE_MAP,    /* "a=b,c=d", {a: b, c: d} */
    RUNG_TYPE_LISTEN, /* 127.0.0.1:8080, [::1]:8080 */
    RUNG_TYPE_NAMES,  /* one or a list: "a,b", [a, b]; none is empty */
    RUNG_TYPE_URLS,   /* one or a list: "http://a:1,http://b:2", [http://a:1, http://b:2] */
} rung_option_type;

/* Groups of the help text, in its order. */
typedef enum rung_option_group {
    RUNG_GROUP_GENERAL,
    RUNG_GROUP_OUTPUT,
    RUNG_GROUP_RUN,
    RUNG_GROUP_CASCADE,
    RUNG_GROUP_POLICY,
    RUNG_GROUP_NODE, /* the keys that only a node has */
} rung_option_group;

/* The files whose keys are options. */
typedef enum rung_file_kind {
    RUNG_FILE_CASCADE = 1 << 0, /* cascade.yaml: all levels */
    RUNG_FILE_NODE = 1 << 1,    /* node.yaml: one level as a server */
} rung_file_kind;

/* The keys of one link, side by side in the table wherever a link can be given ("levels[].link"). See link_config.h. */
typedef enum rung_link_key {
    RUNG_LINK_KEY_LINK, /* a preset or a trace file */
    RUNG_LINK_KEY_PRESET,
    RUNG_LINK_KEY_TRACE,
    RUNG_LINK_KEY_RTT,
    RUNG_LINK_KEY_UP,
    RUNG_LINK_KEY_DOWN,
    RUNG_LINK_KEY_JITTER,
    RUNG_LINK_KEY_LOSS,
    RUNG_LINK_KEY_CONGESTION_SHARE,
    RUNG_LINK_KEY_CONGESTION_DURATION,
    RUNG_LINK_KEY_CONGESTION_SLOWDOWN,
    RUNG_LINK_KEY_CONGESTION_RTT_FACTOR,
    RUNG_LINK_KEY_INTERFERENCE_EVERY,
    RUNG_LINK_KEY_INTERFERENCE_DURATION,
    RUNG_LINK_KEYS,
} rung_link_key;

typedef enum rung_option_id {
    RUNG_OPTION_HELP,
    RUNG_OPTION_CONFIG,
    RUNG_OPTION_MODEL,
    RUNG_OPTION_OUTPUT,
    RUNG_OPTION_JSON,
    RUNG_OPTION_DATA,
    RUNG_OPTION_TUNE_DATA,
    RUNG_OPTION_DATA_DIR,
    RUNG_OPTION_ONCE,
    RUNG_OPTION_AGREEMENT,
    RUNG_OPTION_LABELS_FROM,
    RUNG_OPTION_HEADS,
    RUNG_OPTION_EMBEDDING_BITS,
    RUNG_OPTION_FREQUENT_ROWS,
    RUNG_OPTION_FREQUENT_BITS,
    RUNG_OPTION_SHAPE,
    RUNG_OPTION_TOKENS,
    RUNG_OPTION_BATCH,
    RUNG_OPTION_BENCH_THREADS,
    RUNG_OPTION_BENCH_PRECISION,
    RUNG_OPTION_SPLIT,
    RUNG_OPTION_PARTS,
    RUNG_OPTION_PEAKS,
    RUNG_OPTION_LOAD,
    RUNG_OPTION_ROWS,
    RUNG_OPTION_TRIALS,
    RUNG_OPTION_QUICK,
    RUNG_OPTION_TRACES,
    RUNG_OPTION_LIVE,
    RUNG_OPTION_REPEATS,
    RUNG_OPTION_MAX_LINE,
    RUNG_OPTION_PRECISION,
    RUNG_OPTION_THREADS,
    RUNG_OPTION_THREADS_PER_TEXT,
    RUNG_OPTION_ISA,
    RUNG_OPTION_LONG_TEXT,
    RUNG_OPTION_WINDOW_OVERLAP,
    RUNG_OPTION_CALIBRATION,
    RUNG_OPTION_LABELS,
    RUNG_OPTION_PLAN,
    RUNG_OPTION_LEVEL_NAME, /* the levels[] keys lie side by side */
    RUNG_OPTION_LEVEL_MODEL,
    RUNG_OPTION_LEVEL_SPEED,
    RUNG_OPTION_LEVEL_MEMORY,
    RUNG_OPTION_LEVEL_REMOTE_PROTOCOL, /* the remote keys lie side by side */
    RUNG_OPTION_LEVEL_REMOTE_ADDRESSES,
    RUNG_OPTION_LEVEL_REMOTE_MODEL,
    RUNG_OPTION_LEVEL_REMOTE_INPUT,
    RUNG_OPTION_LEVEL_REMOTE_LABELS,
    RUNG_OPTION_LEVEL_REMOTE_TOKEN_FILE,
    RUNG_OPTION_LEVEL_REMOTE_CA_FILE,
    RUNG_OPTION_LEVEL_REMOTE_DEADLINE,
    RUNG_OPTION_LEVEL_LINK, /* with the keys of a link: + rung_link_key */
    RUNG_OPTION_LEVEL_LINK_LAST = RUNG_OPTION_LEVEL_LINK + RUNG_LINK_KEYS - 1,
    RUNG_OPTION_POLICY_NAME,
    RUNG_OPTION_POLICY_SEED,
    RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL, /* from here on the keys that policy_options.c reads */
    RUNG_OPTION_POLICY_MEMBERS,
    RUNG_OPTION_POLICY_PARALLEL,
    RUNG_OPTION_POLICY_VARIANT,
    RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD,
    RUNG_OPTION_POLICY_OFFLOAD_K,
    RUNG_OPTION_POLICY_OFFLOAD_RANDOM,
    RUNG_OPTION_POLICY_OFFLOAD_SKIP,
    RUNG_OPTION_POLICY_OFFLOAD_EARLY,
    RUNG_OPTION_POLICY_OFFLOAD_SPECULATE,
    RUNG_OPTION_POLICY_DEFER,
    RUNG_OPTION_POLICY_PRUNE_ENABLED,
    RUNG_OPTION_POLICY_PRUNE_ALPHA,
    RUNG_OPTION_POLICY_PRUNE_UNIT,
    RUNG_OPTION_POLICY_PRUNE_LAYERS,
    RUNG_OPTION_POLICY_EXIT_RULE,
    RUNG_OPTION_POLICY_EXIT_TAU,
    RUNG_OPTION_POLICY_EXIT_PATIENCE,
    RUNG_OPTION_POLICY_EXIT_CONFIDENCE,
    RUNG_OPTION_POLICY_EXIT_ENTROPY,
    RUNG_OPTION_POLICY_EXIT_FIRST_LAYER,
    RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS,
    RUNG_OPTION_POLICY_ENSEMBLE_DECIDE_ON,
    RUNG_OPTION_POLICY_ENSEMBLE_SOFTMAX,
    RUNG_OPTION_NODE_LEVEL,
    RUNG_OPTION_NODE_ID,
    RUNG_OPTION_NODE_SPEED,
    RUNG_OPTION_NODE_MEMORY,
    RUNG_OPTION_LISTEN,
    RUNG_OPTION_INSECURE,
    RUNG_OPTION_UPSTREAM_ADDRESSES, /* the upstream keys lie side by side */
    RUNG_OPTION_UPSTREAM_PROTOCOL,
    RUNG_OPTION_UPSTREAM_MODEL,
    RUNG_OPTION_UPSTREAM_INPUT,
    RUNG_OPTION_UPSTREAM_TOKEN_FILE,
    RUNG_OPTION_UPSTREAM_CA_FILE,
    RUNG_OPTION_UPSTREAM_DEADLINE,
    RUNG_OPTION_UPSTREAM_HEDGE_AFTER,
    RUNG_OPTION_UPSTREAM_LINK, /* with the keys of a link: + rung_link_key */
    RUNG_OPTION_UPSTREAM_LINK_LAST = RUNG_OPTION_UPSTREAM_LINK + RUNG_LINK_KEYS - 1,
    RUNG_OPTION_EMULATE_LINKS,
    RUNG_OPTION_DEADLINE,
    RUNG_OPTION_BATCH_MAX_TOKENS,
    RUNG_OPTION_BATCH_MAX_TIME,
    RUNG_OPTION_BATCH_MAX_WAIT,
    RUNG_OPTION_LIMITS_BODY,
    RUNG_OPTION_LIMITS_INPUTS,
    RUNG_OPTION_LIMITS_QUEUE,
    RUNG_OPTION_LIMITS_CONNECTIONS,
    RUNG_OPTION_LIMITS_CONNECTIONS_PER_CLIENT,
    RUNG_OPTION_LIMITS_REQUESTS_PER_CLIENT,
    RUNG_OPTION_MODERATION_FLAGGED,
    RUNG_OPTION_TLS_CERT_FILE,
    RUNG_OPTION_TLS_KEY_FILE,
    RUNG_OPTION_TLS_CLIENT_CA_FILE,
    RUNG_OPTION_DRAIN,
    RUNG_OPTION_LOG_LEVEL,
    RUNG_OPTION_LOG_FORMAT,
    RUNG_OPTION_COUNT,
} rung_option_id;

typedef struct rung_option_spec {
    const char *key;   /* in YAML and, with "--", on the command line */
    bool flag_only;    /* no key of a file */
    const char *alias; /* a second long flag, NULL: none */
    char letter;       /* short flag, 0: none */
    rung_option_type type;
    rung_option_group group;
    uint32_t commands;        /* rung_command bits that take it as a flag */
    double min, max;          /* numbers, sizes, times, rates */
    bool above_min;           /* the least value itself is outside */
    uint32_t max_numbers;     /* of INTEGERS and NUMBERS; 0: RUNG_MAX_LEVELS */
    const char *choices;      /* "a|b|c"; for NUMBER_OR_WORD and LEVELS the word */
    const char *later;        /* "a|b": known names that this version refuses */
    const char *later_hint;   /* what to do instead */
    const char *value_name;   /* in help */
    const char *default_text; /* parsed like any other value; NULL: none, or the policy's */
    const char *help;
} rung_option_spec;

typedef enum rung_source {
    RUNG_SOURCE_NONE, /* no default and not given */
    RUNG_SOURCE_DEFAULT,
    RUNG_SOURCE_POLICY,      /* a default of the policy's name */
    RUNG_SOURCE_CALIBRATION, /* fitted */
    RUNG_SOURCE_FILE,
    RUNG_SOURCE_FLAG,
} rung_source;

/* A value in force. Which field holds it follows from the option's type. */
typedef struct rung_option_value {
    rung_source source;
    char *origin;    /* "default", "policy rung", "cascade.yaml:12:9", "--policy.seed"; NULL when source is NONE */
    char *directory; /* PATH from a file: what it is relative to; NULL otherwise */
    char *text;      /* as it was written; TEXT, PATH: the value; NULL when source is NONE */
    bool boolean;
    bool is_word;     /* NUMBER_OR_WORD, LEVELS */
    uint64_t integer; /* INTEGER, SIZE (bytes) */
    double number;    /* NUMBER, TIME (seconds), RATE (bits per second), SIZE (bytes) */
    uint32_t choice;  /* CHOICE: index in choices */
    uint32_t num_numbers;
    double numbers[RUNG_MAX_NUMBERS]; /* INTEGERS, NUMBERS, LEVELS */
    size_t num_pairs;
    char **pairs; /* MAP: [2 num_pairs] name, value, name, value, ... */
} rung_option_value;

/* All options of one run. Flag values come from rung_options_parse; files and policies are laid under them. */
typedef struct rung_options rung_options;

/* The tables. Static storage. */
const rung_option_spec *rung_option_spec_of(rung_option_id id);
bool rung_option_is_level(rung_option_id id); /* a levels[] key */
/* A key of one of these files (rung_file_kind bits); not so when it is a flag only. */
bool rung_option_in_file(rung_option_id id, uint32_t files);
const rung_command_spec *rung_command_specs(size_t *count);

/* RUNG_NOT_FOUND says which command may have been meant, or that it comes in a later version. */
rung_status rung_command_find(const char *name, const rung_command_spec **spec, rung_error *error) RUNG_WARN_UNUSED;

/* Every option at its default. */
rung_status rung_options_new(rung_options **options, rung_error *error) RUNG_WARN_UNUSED;
void rung_options_free(rung_options *options);
rung_status rung_options_copy(const rung_options *options, rung_options **copy, rung_error *error) RUNG_WARN_UNUSED;

/* arguments: what follows the command's name. Flags may stand anywhere; "--" ends them; "-" is an argument. On failure *options
 * is what it was. With --help the number of arguments is not checked. Arguments are lent from `arguments`. */
rung_status rung_options_parse(rung_options *options, rung_command command, size_t count, const char *const *arguments,
                               rung_error *error) RUNG_WARN_UNUSED;
size_t rung_options_num_arguments(const rung_options *options);
const char *rung_options_argument(const rung_options *options, size_t index);

/* Sets one option by its key ("policy.exit.tau", "levels.2.speed") from text, as a flag would. */
rung_status rung_options_set(rung_options *options, const char *key, const char *text,
                             rung_error *error) RUNG_WARN_UNUSED;

/* The value of an option; `level` is 0-based and 0 for options that are not of a level. Never NULL; source NONE when there is none. */
const rung_option_value *rung_options_level_value(const rung_options *options, rung_option_id id, uint32_t level);
const rung_option_value *rung_options_value(const rung_options *options, rung_option_id id);

/* Shorthands, each for options of that type only. */
bool rung_options_given(const rung_options *options, rung_option_id id); /* by a file or a flag */
bool rung_options_bool(const rung_options *options, rung_option_id id);
uint64_t rung_options_integer(const rung_options *options, rung_option_id id); /* INTEGER, SIZE */
double rung_options_number(const rung_options *options, rung_option_id id);
const char *rung_options_text(const rung_options *options,
                              rung_option_id id); /* TEXT, PATH, CHOICE, POLICY, VARIANT; NULL: none */
uint32_t rung_options_choice(const rung_options *options, rung_option_id id);

/* For the loaders in src/config. `context` starts the message ("cascade.yaml:12:9: policy.exit.tau"); a value from a weaker source never replaces one
 * from a stronger. */
rung_status rung_options_put(rung_options *options, rung_option_id id, uint32_t level, rung_source source,
                             const char *origin, const char *directory, const char *context, const char *text,
                             rung_error *error) RUNG_WARN_UNUSED;
rung_status rung_options_put_pairs(rung_options *options, rung_option_id id, const char *origin, size_t num_pairs,
                                   const char *const *pairs, /* [2 num_pairs] */
                                   rung_error *error) RUNG_WARN_UNUSED;

/* Texts, appended to out; check out with rung_buffer_check. columns bounds the width of help (>= 40). */
void rung_options_help(rung_buffer *out, const rung_command_spec *command, size_t columns);
void rung_options_overview(rung_buffer *out, size_t columns); /* rung --help */
/* One line a value in force: key, value, where it came from. Shown are the keys of these files (rung_file_kind bits). num_levels: of the cascade. */
void rung_options_show(rung_buffer *out, const rung_options *options, uint32_t files, uint32_t num_levels);
void rung_options_completion(rung_buffer *out); /* bash */
void rung_options_man(rung_buffer *out);        /* roff */

#endif
