/* options_table.c: every option and command of rung, as data. Read by options.c, option_text.c and cascade_config.c; a new option is one row
 * here and one name in rung_option_id. Meanings of the policy's options: the paper's equations as policy.h cites them. */
#include "config/options.h"
#include "config/suggest.h"

#include <assert.h>
#include <string.h>

#define CLASSIFY RUNG_COMMAND_CLASSIFY
#define DEMO RUNG_COMMAND_DEMO
#define QUANTIZE RUNG_COMMAND_QUANTIZE
#define FIT RUNG_COMMAND_FIT
#define BENCH RUNG_COMMAND_BENCH
#define SHOW RUNG_COMMAND_CONFIG
#define EVERY (CLASSIFY | DEMO | QUANTIZE | FIT | BENCH | SHOW | RUNG_COMMAND_COMPLETION | RUNG_COMMAND_MAN)
#define CASCADE (CLASSIFY | DEMO | FIT | SHOW) /* commands that load one */

/* The largest integer that is exact in every JSON reader. */
#define MAX_INTEGER 9007199254740992.0
#define MAX_SIZE 1099511627776.0 /* 1 TiB */

static const rung_option_spec specs[RUNG_OPTION_COUNT] = {
    [RUNG_OPTION_HELP] = {"help", true, NULL, 'h', RUNG_TYPE_BOOL, RUNG_GROUP_GENERAL, EVERY, .default_text = "false",
                          .help = "print this text and exit"},
    [RUNG_OPTION_CONFIG] = {"config", true, NULL, 'c', RUNG_TYPE_PATH, RUNG_GROUP_GENERAL, CASCADE,
                            .value_name = "FILE",
                            .help = "the cascade's YAML file; without it the default cascade of the data directory"},
    [RUNG_OPTION_MODEL] = {"model", true, NULL, 'm', RUNG_TYPE_PATH, RUNG_GROUP_GENERAL, CLASSIFY | FIT | BENCH | SHOW,
                           .value_name = "MODEL",
                           .help = "one model alone, instead of a cascade: a packed file or a Hugging Face directory"},
    [RUNG_OPTION_OUTPUT] = {"output", true, NULL, 'o', RUNG_TYPE_PATH, RUNG_GROUP_OUTPUT, QUANTIZE | FIT,
                            .value_name = "FILE", .help = "the file to write; replaced by rename"},
    [RUNG_OPTION_JSON] = {"json", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_OUTPUT, CLASSIFY | BENCH | DEMO,
                          .default_text = "false", .help = "JSON lines: in and out for classify, out for the others"},
    [RUNG_OPTION_DATA] = {"data", true, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_RUN, FIT | DEMO, .value_name = "FILE",
                          .help = "labelled texts as JSON lines, plain or .zst"},
    [RUNG_OPTION_DATA_DIR] =
        {"data-dir", true, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_GENERAL, CASCADE, .value_name = "DIR",
         .help = "where the default cascade lies; otherwise RUNG_DATA, otherwise where it was installed"},
    [RUNG_OPTION_ONCE] = {"once", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_RUN, DEMO, .default_text = "false",
                          .help = "run the reviews, print the table and exit"},
    [RUNG_OPTION_AGREEMENT] = {"agreement", true, NULL, 0, RUNG_TYPE_NUMBER, RUNG_GROUP_RUN, FIT, .min = 0, .max = 1,
                               .value_name = "SHARE", .default_text = "0.98",
                               .help = "agreement with the top level that the thresholds are chosen for"},
    [RUNG_OPTION_EMBEDDING_BITS] = {"embedding-bits", true, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN, QUANTIZE,
                                    .choices = "4|5|6|8|16", .value_name = "BITS", .default_text = "6",
                                    .help = "bits of an element of the word embedding: fewer make a smaller file and "
                                            "change more answers; 16 keeps half floats"},
    [RUNG_OPTION_FREQUENT_ROWS] = {"frequent-rows", true, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, QUANTIZE,
                                   .min = 0, .max = 4e6, .value_name = "N", .default_text = "0",
                                   .help = "the first N rows of the word embedding, the most frequent words, have "
                                           "--frequent-bits instead of --embedding-bits"},
    [RUNG_OPTION_FREQUENT_BITS] = {"frequent-bits", true, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN, QUANTIZE,
                                   .choices = "4|5|6|8|16", .value_name = "BITS", .default_text = "8",
                                   .help = "bits of an element of the rows of --frequent-rows"},
    [RUNG_OPTION_SHAPE] = {"shape", true, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN, BENCH,
                           .choices = "bert-base|minilm-l6|minilm-l12|tiny-l3", .value_name = "SHAPE",
                           .default_text = "bert-base",
                           .help = "a model of random weights in this shape, when no --model is given"},
    [RUNG_OPTION_TOKENS] = {"tokens", true, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, BENCH, .min = 1, .max = 512,
                            .value_name = "N", .default_text = "128", .help = "tokens of a text"},
    [RUNG_OPTION_BATCH] = {"batch", true, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, BENCH, .min = 1, .max = 256,
                           .value_name = "N", .default_text = "1", .help = "texts in a batch"},
    [RUNG_OPTION_REPEATS] = {"repeats", true, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, BENCH, .min = 1,
                             .max = 100000, .value_name = "N", .default_text = "30",
                             .help = "runs to take the median of"},
    [RUNG_OPTION_MAX_LINE] = {"max-line", true, NULL, 0, RUNG_TYPE_SIZE, RUNG_GROUP_RUN, CLASSIFY | FIT, .min = 1024,
                              .max = 1073741824, .value_name = "SIZE", .default_text = "8MiB",
                              .help = "longest line that is read; longer ones are refused one by one"},
    [RUNG_OPTION_PRECISION] = {"precision", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN,
                               CLASSIFY | DEMO | FIT | BENCH | SHOW, .choices = "fp32|int8", .value_name = "PRECISION",
                               .default_text = "int8", .help = "arithmetic of the models; packed files are int8 only"},
    [RUNG_OPTION_THREADS] = {"threads", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN,
                             CLASSIFY | DEMO | FIT | BENCH | SHOW, .min = 0, .max = 256, .value_name = "N",
                             .default_text = "0", .help = "threads that compute; 0: as many as there are processors"},
    [RUNG_OPTION_ISA] = {"isa", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_RUN, CLASSIFY | DEMO | FIT | BENCH | SHOW,
                         .value_name = "NAME",
                         .help = "kernels to use (ref, avx512vnni, ...); otherwise RUNG_ISA, otherwise the best here"},
    [RUNG_OPTION_CALIBRATION] = {"calibration", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_CASCADE, CASCADE,
                                 .value_name = "FILE",
                                 .help = "what rung fit wrote for these models; without it every temperature is 1"},
    [RUNG_OPTION_LABELS] = {"labels", false, NULL, 0, RUNG_TYPE_MAP, RUNG_GROUP_CASCADE, CASCADE,
                            .value_name = "A=B,...",
                            .help = "names to give to labels, where models name them differently"},
    [RUNG_OPTION_PLAN] = {"plan", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_CASCADE, 0, .value_name = "FILE",
                          .later = "*", .later_hint = "remove it, and set the policy's keys",
                          .help = "from rung plan; replaces policy and placement"},
    [RUNG_OPTION_LEVEL_NAME] = {"levels[].name", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_CASCADE, CASCADE,
                                .value_name = "NAME",
                                .help = "the level's name in answers and reports; by default \"level\" and its number"},
    [RUNG_OPTION_LEVEL_MODEL] = {"levels[].model", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_CASCADE, CASCADE,
                                 .value_name = "MODEL", .help = "packed file or Hugging Face directory"},
    [RUNG_OPTION_LEVEL_SPEED] = {"levels[].speed", false, NULL, 0, RUNG_TYPE_NUMBER, RUNG_GROUP_CASCADE, CASCADE,
                                 .min = 0, .max = 1e6, .above_min = true, .value_name = "FACTOR", .default_text = "1",
                                 .help = "time = measured compute / speed, in reports"},
    [RUNG_OPTION_LEVEL_MEMORY] = {"levels[].memory", false, NULL, 0, RUNG_TYPE_SIZE, RUNG_GROUP_CASCADE, CASCADE,
                                  .min = 1, .max = MAX_SIZE, .value_name = "SIZE",
                                  .help = "most memory that the level has; no limit otherwise"},
    [RUNG_OPTION_LEVEL_LINK] = {"levels[].link", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_CASCADE, CASCADE,
                                .value_name = "PRESET",
                                .help = "link from the level below: lan, wifi, 5g, 4g, satellite, or rtt, up and down"},
    [RUNG_OPTION_LEVEL_LINK_RTT] = {"levels[].link.rtt", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_CASCADE, CASCADE,
                                    .min = 0, .max = 60, .value_name = "TIME", .help = "median round trip of the link"},
    [RUNG_OPTION_LEVEL_LINK_UP] = {"levels[].link.up", false, NULL, 0, RUNG_TYPE_RATE, RUNG_GROUP_CASCADE, CASCADE,
                                   .min = 1, .max = 1e12, .value_name = "RATE", .help = "rate towards the upper level"},
    [RUNG_OPTION_LEVEL_LINK_DOWN] = {"levels[].link.down", false, NULL, 0, RUNG_TYPE_RATE, RUNG_GROUP_CASCADE, CASCADE,
                                     .min = 1, .max = 1e12, .value_name = "RATE", .help = "rate back"},
    [RUNG_OPTION_LEVEL_LINK_JITTER] = {"levels[].link.jitter", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_CASCADE,
                                       CASCADE, .min = 0, .max = 60, .value_name = "TIME",
                                       .help = "how far the round trip varies"},
    [RUNG_OPTION_POLICY_NAME] =
        {"policy.name", false, "policy", 0, RUNG_TYPE_CHOICE, RUNG_GROUP_POLICY, CASCADE,
         .choices = "rung|paper|tabi|tangobert|single",
         .later = "pabee|branchynet|deebert|f-pabee|layer-skip|power-bert|cocktail|random|oracle", .value_name = "NAME",
         .default_text = "rung",
         .help = "the rule set, single with --model; gives the default of every other key of policy"},
    [RUNG_OPTION_POLICY_SEED] = {"policy.seed", false, "seed", 0, RUNG_TYPE_INTEGER, RUNG_GROUP_POLICY, CASCADE,
                                 .min = 0, .max = MAX_INTEGER, .value_name = "N", .default_text = "1",
                                 .help = "seed of the offload coin and of the links"},
    [RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL] = {"policy.first_compute_level", false, NULL, 0, RUNG_TYPE_INTEGER,
                                                RUNG_GROUP_POLICY, CASCADE, .min = 1, .max = RUNG_MAX_LEVELS,
                                                .value_name = "N",
                                                .help = "first level that computes; those below only pass the text on"},
    [RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD] =
        {"policy.offload.threshold", false, NULL, 0, RUNG_TYPE_NUMBERS, RUNG_GROUP_POLICY, CASCADE, .min = 0, .max = 1,
         .value_name = "T[,T...]",
         .help = "confidence up to which a request goes up (Eq 7), for all levels or by level; "
                 "otherwise the calibration's, otherwise the policy's"},
    [RUNG_OPTION_POLICY_OFFLOAD_K] = {"policy.offload.k", false, NULL, 0, RUNG_TYPE_NUMBER_OR_WORD, RUNG_GROUP_POLICY,
                                      CASCADE, .min = 0, .max = 1e6, .above_min = true, .choices = "hard",
                                      .value_name = "K",
                                      .help = "steepness of Eq 7 above the threshold; hard: nothing goes up there"},
    [RUNG_OPTION_POLICY_DEFER] = {"policy.defer", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_POLICY, CASCADE,
                                  .choices = "confidence", .later = "learned", .value_name = "RULE",
                                  .default_text = "confidence", .help = "what the threshold is compared with"},
    [RUNG_OPTION_POLICY_PRUNE_ENABLED] = {"policy.prune.enabled", false, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_POLICY,
                                          CASCADE, .help = "send only the words that matter"},
    [RUNG_OPTION_POLICY_PRUNE_ALPHA] = {"policy.prune.alpha", false, NULL, 0, RUNG_TYPE_NUMBER, RUNG_GROUP_POLICY,
                                        CASCADE, .min = 0, .max = 1000, .value_name = "ALPHA",
                                        .help = "keep what is more important than ALPHA times the average (Eq 10)"},
    [RUNG_OPTION_POLICY_PRUNE_UNIT] = {"policy.prune.unit", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_POLICY,
                                       CASCADE, .choices = "auto|token|word", .value_name = "UNIT",
                                       .help = "auto: token where the tokenizers match, else word"},
    [RUNG_OPTION_POLICY_PRUNE_LAYERS] = {"policy.prune.layers", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_POLICY,
                                         CASCADE, .choices = "first|all", .value_name = "WHICH",
                                         .help = "layers that say what matters (Eq 9): up to the first exit, or all"},
    [RUNG_OPTION_POLICY_EXIT_RULE] = {"policy.exit.rule", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_POLICY, CASCADE,
                                      .choices = "off|paper|agree", .value_name = "RULE",
                                      .help = "early exit: off, Eq 13-14, or two exits that agree and are sure"},
    [RUNG_OPTION_POLICY_EXIT_TAU] = {"policy.exit.tau", false, NULL, 0, RUNG_TYPE_NUMBER, RUNG_GROUP_POLICY, CASCADE,
                                     .min = 0, .max = 1, .value_name = "TAU",
                                     .help = "two exits are stable below this difference; 0 never exits early"},
    [RUNG_OPTION_POLICY_EXIT_PATIENCE] = {"policy.exit.patience", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_POLICY,
                                          CASCADE, .min = 1, .max = 128, .value_name = "P",
                                          .help = "stable comparisons in a row that are needed"},
    [RUNG_OPTION_POLICY_EXIT_CONFIDENCE] = {"policy.exit.confidence", false, NULL, 0, RUNG_TYPE_NUMBER,
                                            RUNG_GROUP_POLICY, CASCADE, .min = 0, .max = 1, .value_name = "C",
                                            .help = "calibrated confidence that rule agree needs"},
    [RUNG_OPTION_POLICY_EXIT_FIRST_LAYER] = {"policy.exit.first_layer", false, NULL, 0, RUNG_TYPE_INTEGER,
                                             RUNG_GROUP_POLICY, CASCADE, .min = 1, .max = 128, .value_name = "LAYER",
                                             .help = "first layer after which a request may stop"},
    [RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS] = {"policy.ensemble.weights", false, NULL, 0, RUNG_TYPE_CHOICE,
                                             RUNG_GROUP_POLICY, CASCADE, .choices = "accuracy|last", .later = "fitted",
                                             .later_hint = "use accuracy or last", .value_name = "KIND",
                                             .help =
                                                 "weights of the levels (Eq 12): by accuracy, or the last level alone"},
    [RUNG_OPTION_POLICY_ENSEMBLE_DECIDE_ON] =
        {"policy.ensemble.decide_on", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_POLICY, CASCADE,
         .choices = "own|pooled", .value_name = "WHICH",
         .help = "confidence that decides: the level's own, or that of the pooled result"},
    [RUNG_OPTION_POLICY_ENSEMBLE_SOFTMAX] = {"policy.ensemble.softmax", false, NULL, 0, RUNG_TYPE_CHOICE,
                                             RUNG_GROUP_POLICY, CASCADE, .choices = "calibrated|raw",
                                             .value_name = "KIND",
                                             .help =
                                                 "what Eq 11 adds up: softmax with the fitted temperature, or without"},
    [RUNG_OPTION_POLICY_EARLY_OFFLOAD] = {"policy.early_offload", false, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_POLICY,
                                          CASCADE, .later = "true", .default_text = "false",
                                          .help = "offload before the local model is done"},
    [RUNG_OPTION_POLICY_SPECULATE] = {"policy.speculate", false, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_POLICY, CASCADE,
                                      .later = "true", .default_text = "false",
                                      .help = "ask the upper level while the local model still runs"},
};

static const rung_command_spec commands[] = {
    {CLASSIFY, "classify", "[TEXT...]", 0, UINT32_MAX, "classify texts",
     "Classifies the texts given as arguments, or else standard input: one text a line, or with --json one JSON object "
     "{\"id\",\"text\"[,\"text_pair\"][,\"label\"]} a line. Answers come in the order of input. A bad line gives an "
     "error line with its "
     "number, and the exit code is 1 at the end."},
    {DEMO, "demo", "", 0, 0, "run the embedded cascade on real reviews",
     "Runs the default cascade on the example reviews and prints accuracy, latency, layers, words and bytes beside "
     "those of a "
     "plain threshold, Tabi and always-cloud."},
    {QUANTIZE, "quantize", "HF_DIR", 1, 1, "pack a Hugging Face directory into one int8 file",
     "Reads a Hugging Face directory, quantises its weights to int8, and writes one file with tokenizer, labels and "
     "exit heads."},
    {FIT, "fit", "", 0, 0, "fit temperatures, weights and thresholds",
     "Runs every level on labelled texts and writes calibration.json: a temperature for each exit, the accuracy of "
     "each level, and for each "
     "level the least threshold that reaches --agreement with the top level."},
    {BENCH, "bench", "", 0, 0, "measure the engine against the machine's peak",
     "Times the encoder and compares it with the peak rate that it measures on this machine in the same run."},
    {SHOW, "config", "show", 1, 1, "print every value in force and where it came from",
     "Loads the cascade and prints each option's value with its source: a default, the policy, the calibration, a "
     "file's line or a flag."},
    {RUNG_COMMAND_COMPLETION, "completion", "", 0, 0, "print bash completion",
     "Prints a script for bash; source it, or put it into the completions directory."},
    {RUNG_COMMAND_MAN, "man", "", 0, 0, "print the manual page", "Prints rung's manual page in roff, for section 1."},
};

static const char later_commands[] = "serve|profile|plan|sim|eval";

const rung_option_spec *rung_option_spec_of(rung_option_id id)
{
    assert(id < RUNG_OPTION_COUNT);
    return &specs[id];
}

bool rung_option_is_level(rung_option_id id)
{
    return id >= RUNG_OPTION_LEVEL_NAME && id <= RUNG_OPTION_LEVEL_LINK_JITTER;
}

const rung_command_spec *rung_command_specs(size_t *count)
{
    *count = sizeof commands / sizeof commands[0];
    return commands;
}

static bool is_later_command(const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(later_commands, name); at != NULL && length > 0; at = strstr(at + 1, name)) {
        if ((at == later_commands || at[-1] == '|') && (at[length] == '|' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

rung_status rung_command_find(const char *name, const rung_command_spec **spec, rung_error *error)
{
    char shown[RUNG_QUOTED_BYTES];
    char hint[RUNG_HINT_BYTES];
    rung_suggestion suggestion = {.name = name};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            *spec = &commands[i];
            return RUNG_OK;
        }
        rung_suggest(&suggestion, commands[i].name);
    }
    rung_shorten(name, strlen(name), shown);
    if (is_later_command(name)) {
        return rung_fail(error, RUNG_UNSUPPORTED, "command '%s' is not available in this version", shown);
    }
    return rung_fail(error, RUNG_NOT_FOUND, "unknown command '%s'%s%s", shown, rung_suggestion_hint(&suggestion, hint),
                     suggestion.best == NULL ? "; 'rung --help' lists them" : "");
}
