/* options_table.c: every option and command of rung, as data. Read by options.c, option_text.c, option_file.c and the loaders; a new option is one row
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
#define SERVE RUNG_COMMAND_SERVE
#define PROFILE RUNG_COMMAND_PROFILE
#define EVAL RUNG_COMMAND_EVAL
#define CASCADE (CLASSIFY | DEMO | FIT | SHOW | SERVE | PROFILE | EVAL) /* commands that load a cascade */
#define NODE (SERVE | SHOW)                                             /* commands that load a node */
#define EVERY (CASCADE | BENCH | QUANTIZE | RUNG_COMMAND_COMPLETION | RUNG_COMMAND_MAN)

/* The largest integer that is exact in every JSON reader. */
#define MAX_INTEGER 9007199254740992.0
#define MAX_SIZE 1099511627776.0 /* 1 TiB */

#define NO_TLS "remove it, and put a proxy with TLS before the node's loopback address"

/* One key of the link at `key`, and all of them in the order of rung_link_key. */
#define LINK_ROW(first, which, key, type, group, commands, ...)                                                        \
    [(first) + RUNG_LINK_KEY_##which] = {key, false, NULL, 0, RUNG_TYPE_##type, group, commands, __VA_ARGS__}

#define LINK_ROWS(first, key, group, commands, help_text)                                                              \
    LINK_ROW(first, LINK, key, PATH, group, commands, .value_name = "PRESET|FILE", .help = (help_text)),               \
        LINK_ROW(first, PRESET, key ".preset", TEXT, group, commands, .value_name = "PRESET",                          \
                 .help = "lan, wifi, 5g, 4g or satellite: what neither the trace nor a figure says"),                  \
        LINK_ROW(first, TRACE, key ".trace", PATH, group, commands, .value_name = "FILE",                              \
                 .help = "the link as it was measured: CSV with t_s and up_bps, down_bps, rtt_ms or loss"),            \
        LINK_ROW(first, RTT, key ".rtt", TIME, group, commands, .min = 0, .max = 60, .value_name = "TIME",             \
                 .help = "median round trip of the link"),                                                             \
        LINK_ROW(first, UP, key ".up", RATE, group, commands, .min = 1, .max = 1e12, .value_name = "RATE",             \
                 .help = "rate towards the upper level"),                                                              \
        LINK_ROW(first, DOWN, key ".down", RATE, group, commands, .min = 1, .max = 1e12, .value_name = "RATE",         \
                 .help = "rate back"),                                                                                 \
        LINK_ROW(first, JITTER, key ".jitter", TIME, group, commands, .min = 0, .max = 60, .value_name = "TIME",       \
                 .help = "how far the round trip varies"),                                                             \
        LINK_ROW(first, LOSS, key ".loss", NUMBER, group, commands, .min = 0, .max = 1, .value_name = "SHARE",         \
                 .help = "messages lost in each direction; each waits for a retransmission timeout"),                  \
        LINK_ROW(first, CONGESTION_SHARE, key ".congestion.share", NUMBER, group, commands, .min = 0, .max = 1,        \
                 .value_name = "SHARE", .help = "share of the time in which the link is congested"),                   \
        LINK_ROW(first, CONGESTION_DURATION, key ".congestion.duration", TIME, group, commands, .min = 0.001,          \
                 .max = 3600, .value_name = "TIME", .help = "mean length of a congestion; otherwise 5s"),              \
        LINK_ROW(first, CONGESTION_SLOWDOWN, key ".congestion.slowdown", NUMBER, group, commands, .min = 1,            \
                 .max = 1000, .value_name = "FACTOR", .help = "congestion divides the rates by it; otherwise 2"),      \
        LINK_ROW(first, CONGESTION_RTT_FACTOR, key ".congestion.rtt_factor", NUMBER, group, commands, .min = 1,        \
                 .max = 1000, .value_name = "FACTOR",                                                                  \
                 .help = "congestion multiplies the round trip by it; otherwise 3"),                                   \
        LINK_ROW(first, INTERFERENCE_EVERY, key ".interference.every", TIME, group, commands, .min = 0.001,            \
                 .max = 3600, .value_name = "TIME", .help = "mean time from one burst of interference to the next"),   \
        LINK_ROW(first, INTERFERENCE_DURATION, key ".interference.duration", TIME, group, commands, .min = 0.001,      \
                 .max = 1800, .value_name = "TIME", .help = "mean length of a burst, in which nothing gets through")

static const rung_option_spec specs[RUNG_OPTION_COUNT] = {
    [RUNG_OPTION_HELP] = {"help", true, NULL, 'h', RUNG_TYPE_BOOL, RUNG_GROUP_GENERAL, EVERY, .default_text = "false",
                          .help = "print this text and exit"},
    [RUNG_OPTION_CONFIG] =
        {"config", true, NULL, 'c', RUNG_TYPE_PATH, RUNG_GROUP_GENERAL, CASCADE, .value_name = "FILE",
         .help = "the YAML file of the cascade or node; without it the default cascade of the data directory"},
    [RUNG_OPTION_MODEL] =
        {"model", false, NULL, 'm', RUNG_TYPE_PATH, RUNG_GROUP_GENERAL, CLASSIFY | FIT | BENCH | SHOW | SERVE | PROFILE,
         .value_name = "MODEL",
         .help = "one model alone, instead of a cascade, or a node's model: a packed file or a Hugging Face "
                 "directory"},
    [RUNG_OPTION_OUTPUT] = {"output", true, NULL, 'o', RUNG_TYPE_PATH, RUNG_GROUP_OUTPUT, QUANTIZE | FIT | EVAL,
                            .value_name = "FILE",
                            .help = "the file to write; replaced by rename. Of eval the directory, which is made"},
    [RUNG_OPTION_JSON] = {"json", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_OUTPUT, CLASSIFY | BENCH | DEMO | PROFILE,
                          .default_text = "false", .help = "JSON lines: in and out for classify, out for the others"},
    [RUNG_OPTION_DATA] = {"data", true, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_RUN, FIT | DEMO | PROFILE | BENCH | EVAL,
                          .value_name = "FILE",
                          .help = "texts as JSON lines, plain or .zst; with labels, but for bench"},
    [RUNG_OPTION_TUNE_DATA] = {"tune-data", true, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_RUN, EVAL, .value_name = "FILE",
                               .help = "labelled texts that policies are searched on; otherwise a fifth of --data"},
    [RUNG_OPTION_DATA_DIR] =
        {"data-dir", true, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_GENERAL, CASCADE, .value_name = "DIR",
         .help = "where the default cascade lies; otherwise RUNG_DATA, otherwise where it was installed"},
    [RUNG_OPTION_ONCE] = {"once", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_RUN, DEMO, .default_text = "false",
                          .help = "run the reviews, print the table and exit"},
    [RUNG_OPTION_AGREEMENT] = {"agreement", true, NULL, 0, RUNG_TYPE_NUMBER, RUNG_GROUP_RUN, FIT, .min = 0, .max = 1,
                               .value_name = "SHARE", .default_text = "0.98",
                               .help = "agreement with the top level that the thresholds are chosen for"},
    [RUNG_OPTION_LABELS_FROM] = {"labels-from", true, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN, FIT,
                                 .choices = "data|top", .value_name = "WHERE", .default_text = "data",
                                 .help = "the truth to fit to: the data's labels, or what the top level says, for data "
                                         "without labels"},
    [RUNG_OPTION_HEADS] = {"heads", true, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN, FIT, .choices = "auto|keep|new",
                           .value_name = "WHICH", .default_text = "auto",
                           .help = "exit heads to fit: auto, where a model has no classifier or no exits; keep, none; "
                                   "new, all, for the labels of the data"},
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
                           .choices = "bert-base|bert-large|minilm-l6|minilm-l12|bertweet|tiny-l3",
                           .value_name = "SHAPE", .default_text = "bert-base",
                           .help = "a model of random weights in this shape, when no --model is given"},
    [RUNG_OPTION_TOKENS] = {"tokens", true, NULL, 0, RUNG_TYPE_INTEGERS, RUNG_GROUP_RUN, BENCH, .min = 1, .max = 512,
                            .max_numbers = 16, .value_name = "N[,N...]", .default_text = "128",
                            .help = "tokens of a text; of several numbers each is measured"},
    [RUNG_OPTION_BATCH] = {"batch", true, NULL, 0, RUNG_TYPE_INTEGERS, RUNG_GROUP_RUN, BENCH, .min = 1, .max = 256,
                           .max_numbers = 16, .value_name = "N[,N...]", .default_text = "1",
                           .help = "texts in a batch"},
    [RUNG_OPTION_BENCH_THREADS] =
        {"threads", true, NULL, 0, RUNG_TYPE_INTEGERS, RUNG_GROUP_RUN, BENCH, .min = 0, .max = 256, .max_numbers = 16,
         .value_name = "N[,N...]",
         .help = "threads, each with a batch of its own; 0, and by default: as many as there are processors"},
    [RUNG_OPTION_BENCH_PRECISION] = {"precision", true, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN, BENCH,
                                     .choices = "int8|fp32|both", .value_name = "PRECISION", .default_text = "int8",
                                     .help = "arithmetic of the model; packed files are int8 only"},
    [RUNG_OPTION_SPLIT] = {"split", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_RUN, BENCH, .default_text = "false",
                           .help = "the threads share the layers of one batch, which takes less time, instead of "
                                   "computing one each, which gets more done"},
    [RUNG_OPTION_PARTS] = {"parts", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_RUN, BENCH, .default_text = "false",
                           .help = "time of each part of the layers with --json; the table always has it"},
    [RUNG_OPTION_PEAKS] = {"peaks", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_RUN, BENCH, .default_text = "false",
                           .help = "what this machine can do at most, which is also what no option gives"},
    [RUNG_OPTION_LOAD] = {"load", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_RUN, BENCH, .default_text = "false",
                          .help = "time from opening the model to its first answer, and memory in use then"},
    [RUNG_OPTION_ROWS] = {"rows", true, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, BENCH | EVAL, .min = 1, .max = 1e7,
                          .value_name = "N", .default_text = "1000",
                          .help = "texts of --data to take: for bench from the first, for eval drawn by the seed, and "
                                  "all where it is not given"},
    [RUNG_OPTION_TRIALS] = {"trials", true, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, EVAL, .min = 10, .max = 100000,
                            .value_name = "N", .default_text = "1000", .help = "policies that each method may try"},
    [RUNG_OPTION_QUICK] = {"quick", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_RUN, EVAL, .default_text = "false",
                           .help = "a look within two minutes: 500 texts and few trials, where --rows and --trials do "
                                   "not say otherwise"},
    [RUNG_OPTION_TRACES] = {"links", true, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_RUN, EVAL, .value_name = "DIR",
                            .help = "a directory of measured links (*.csv), to compare on beside the presets"},
    [RUNG_OPTION_LIVE] = {"live", true, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, EVAL, .min = 0, .max = 1e6,
                          .value_name = "N", .default_text = "0",
                          .help = "texts to ask of real processes under the policy that was found, to compare with "
                                  "the replay"},
    [RUNG_OPTION_REPEATS] = {"repeats", true, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, BENCH | PROFILE, .min = 1,
                             .max = 100000, .value_name = "N", .default_text = "30",
                             .help = "runs to take the median of"},
    [RUNG_OPTION_MAX_LINE] = {"max-line", true, NULL, 0, RUNG_TYPE_SIZE, RUNG_GROUP_RUN,
                              CLASSIFY | FIT | PROFILE | BENCH | EVAL, .min = 1024, .max = 1073741824,
                              .value_name = "SIZE", .default_text = "8MiB",
                              .help = "longest line that is read; longer ones are refused one by one"},
    [RUNG_OPTION_PRECISION] = {"precision", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN, CASCADE,
                               .choices = "fp32|int8", .value_name = "PRECISION", .default_text = "int8",
                               .help = "arithmetic of the models; packed files are int8 only"},
    [RUNG_OPTION_THREADS] = {"threads", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, CASCADE, .min = 0,
                             .max = 256, .value_name = "N", .default_text = "0",
                             .help = "threads that compute; 0: as many as there are processors"},
    [RUNG_OPTION_THREADS_PER_TEXT] =
        {"threads_per_text", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN, CLASSIFY | DEMO | SHOW | SERVE,
         .min = 0, .max = 256, .value_name = "N", .default_text = "0",
         .help = "threads that may share the layers of one text; 0: those that have no text of their own, and 1 in a "
                 "node"},
    [RUNG_OPTION_ISA] =
        {"isa", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_RUN, CASCADE | BENCH, .value_name = "NAME",
         .help = "kernels to use (ref, avx2, avx512vnni, ...); otherwise RUNG_ISA, otherwise the best here"},
    [RUNG_OPTION_LONG_TEXT] = {"long_text", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_RUN, CLASSIFY | SHOW | SERVE,
                               .choices = "truncate|windows", .value_name = "HOW", .default_text = "truncate",
                               .help = "a text with more tokens than the model reads: cut, or read as windows whose "
                                       "logits are averaged"},
    [RUNG_OPTION_WINDOW_OVERLAP] = {"window_overlap", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_RUN,
                                    CLASSIFY | SHOW | SERVE, .min = 0, .max = 65536, .value_name = "TOKENS",
                                    .default_text = "64",
                                    .help = "tokens that a window shares with the one before, at most half of it"},
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
    [RUNG_OPTION_LEVEL_REMOTE_PROTOCOL] = {"levels[].remote.protocol", false, NULL, 0, RUNG_TYPE_CHOICE,
                                           RUNG_GROUP_CASCADE, CASCADE, .choices = "tei|v2", .value_name = "NAME",
                                           .help = "instead of a model: what the server speaks that has it"},
    [RUNG_OPTION_LEVEL_REMOTE_ADDRESSES] = {"levels[].remote.addresses", false, NULL, 0, RUNG_TYPE_URLS,
                                            RUNG_GROUP_CASCADE, CASCADE, .value_name = "URL[,URL...]",
                                            .help = "where that server is, http://host:port"},
    [RUNG_OPTION_LEVEL_REMOTE_MODEL] = {"levels[].remote.model", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_CASCADE,
                                        CASCADE, .value_name = "NAME",
                                        .help = "the model's name there (v2); by default the level's"},
    [RUNG_OPTION_LEVEL_REMOTE_INPUT] = {"levels[].remote.input", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_CASCADE,
                                        CASCADE, .value_name = "NAME",
                                        .help = "the model's input that takes the text (v2); by default text"},
    [RUNG_OPTION_LEVEL_REMOTE_LABELS] = {"levels[].remote.labels", false, NULL, 0, RUNG_TYPE_NAMES, RUNG_GROUP_CASCADE,
                                         CASCADE, .value_name = "NAME,NAME...",
                                         .help = "labels of its probabilities in their order (v2); by default that of "
                                                 "level 1"},
    [RUNG_OPTION_LEVEL_REMOTE_TOKEN_FILE] = {"levels[].remote.token_file", false, NULL, 0, RUNG_TYPE_PATH,
                                             RUNG_GROUP_CASCADE, CASCADE, .value_name = "FILE",
                                             .help = "file with the token that it asks for"},
    [RUNG_OPTION_LEVEL_REMOTE_CA_FILE] = {"levels[].remote.ca_file", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_CASCADE,
                                          CASCADE, .value_name = "FILE",
                                          .help = "certificates that vouch for https addresses; the system's "
                                                  "otherwise"},
    [RUNG_OPTION_LEVEL_REMOTE_DEADLINE] = {"levels[].remote.deadline", false, NULL, 0, RUNG_TYPE_TIME,
                                           RUNG_GROUP_CASCADE, CASCADE, .min = 0.001, .max = 600, .value_name = "TIME",
                                           .help = "upstream.deadline of the node below; 1s otherwise"},
    LINK_ROWS(RUNG_OPTION_LEVEL_LINK, "levels[].link", RUNG_GROUP_CASCADE, CASCADE,
              "link from the level below: lan, wifi, 5g, 4g, satellite, a trace file, or rtt, up and down"),
    [RUNG_OPTION_POLICY_NAME] =
        {"policy.name", false, "policy", 0, RUNG_TYPE_POLICY, RUNG_GROUP_POLICY, CASCADE,
         .choices = "rung|paper|tabi|tangobert|single|pabee|branchynet|deebert|f-pabee|cocktail|random|layer-skip|"
                    "power-bert",
         .later = "oracle", .value_name = "NAME", .default_text = "rung",
         .help = "the rule set, single with --model; gives the default of every other key of policy; some take a "
                 "number: single(LEVEL), random(SHARE), layer-skip(SPEEDUP), power-bert(SHARE)"},
    [RUNG_OPTION_POLICY_SEED] = {"policy.seed", false, "seed", 0, RUNG_TYPE_INTEGER, RUNG_GROUP_POLICY, CASCADE,
                                 .min = 0, .max = MAX_INTEGER, .value_name = "N", .default_text = "1",
                                 .help = "seed of the offload coin and of the links"},
    [RUNG_OPTION_POLICY_FIRST_COMPUTE_LEVEL] = {"policy.first_compute_level", false, NULL, 0, RUNG_TYPE_INTEGER,
                                                RUNG_GROUP_POLICY, CASCADE, .min = 1, .max = RUNG_MAX_LEVELS,
                                                .value_name = "N",
                                                .help = "first level that computes; those below only pass the text on"},
    [RUNG_OPTION_POLICY_MEMBERS] = {"policy.members", false, NULL, 0, RUNG_TYPE_LEVELS, RUNG_GROUP_POLICY, CASCADE,
                                    .min = 1, .max = RUNG_MAX_LEVELS, .choices = "all",
                                    .value_name = "LEVEL[,LEVEL...]",
                                    .help = "levels that compute, by number; the others only pass the text on, and the "
                                            "highest one is the top"},
    [RUNG_OPTION_POLICY_PARALLEL] = {"policy.parallel", false, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_POLICY, CASCADE,
                                     .help = "every level gets the full text at once, and all are combined"},
    [RUNG_OPTION_POLICY_VARIANT] = {"policy.variant", false, NULL, 0, RUNG_TYPE_VARIANT, RUNG_GROUP_POLICY, CASCADE,
                                    .choices = "none|layer-skip|power-bert", .value_name = "NAME",
                                    .help = "a cheaper way to run every model: layer-skip(SPEEDUP) leaves layers out, "
                                            "power-bert(SHARE) drops tokens between them down to SHARE"},
    [RUNG_OPTION_POLICY_OFFLOAD_THRESHOLD] =
        {"policy.offload.threshold", false, NULL, 0, RUNG_TYPE_NUMBERS, RUNG_GROUP_POLICY, CASCADE, .min = 0, .max = 1,
         .value_name = "T[,T...]",
         .help = "confidence up to which a request goes up (Eq 7), for all levels or by level; "
                 "otherwise the calibration's, otherwise the policy's"},
    [RUNG_OPTION_POLICY_OFFLOAD_K] = {"policy.offload.k", false, NULL, 0, RUNG_TYPE_NUMBER_OR_WORD, RUNG_GROUP_POLICY,
                                      CASCADE, .min = 0, .max = 1e6, .above_min = true, .choices = "hard",
                                      .value_name = "K",
                                      .help = "steepness of Eq 7 above the threshold; hard: nothing goes up there"},
    [RUNG_OPTION_POLICY_OFFLOAD_RANDOM] = {"policy.offload.random", false, NULL, 0, RUNG_TYPE_NUMBER_OR_WORD,
                                           RUNG_GROUP_POLICY, CASCADE, .min = 0, .max = 1, .choices = "off",
                                           .value_name = "SHARE",
                                           .help = "share of the requests that goes up whatever the confidence; off: "
                                                   "the threshold decides"},
    [RUNG_OPTION_POLICY_OFFLOAD_SKIP] =
        {"policy.offload.skip", false, NULL, 0, RUNG_TYPE_NUMBERS, RUNG_GROUP_POLICY, CASCADE, .min = 0, .max = 1,
         .value_name = "T[,T...]",
         .help = "confidence up to which what goes up passes the next level by, for all levels or by level; 0: never"},
    [RUNG_OPTION_POLICY_OFFLOAD_EARLY] =
        {"policy.offload.early", false, NULL, 0, RUNG_TYPE_NUMBERS, RUNG_GROUP_POLICY, CASCADE, .min = 0, .max = 1,
         .value_name = "T[,T...]",
         .help = "confidence of an exit up to which the layers stop and the request goes up, for all levels or by "
                 "level; 0: never"},
    [RUNG_OPTION_POLICY_OFFLOAD_SPECULATE] =
        {"policy.offload.speculate", false, NULL, 0, RUNG_TYPE_NUMBERS, RUNG_GROUP_POLICY, CASCADE, .min = 0, .max = 1,
         .value_name = "T[,T...]",
         .help = "confidence of the first exit up to which the next level is asked while the layers run on, for all "
                 "levels or by level; 0: never"},
    [RUNG_OPTION_POLICY_DEFER] =
        {"policy.defer", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_POLICY, CASCADE, .choices = "confidence|learned",
         .value_name = "RULE",
         .help = "what the threshold is compared with: the confidence, or what rung fit learned "
                 "about what the upper levels would change"},
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
                                      .choices = "off|paper|agree|pabee|entropy|divergence", .value_name = "RULE",
                                      .help = "early exit: off; Eq 13-14; exits that agree and are sure; exits with "
                                              "the same label; an exit of low entropy; exits that differ little"},
    [RUNG_OPTION_POLICY_EXIT_TAU] = {"policy.exit.tau", false, NULL, 0, RUNG_TYPE_NUMBER, RUNG_GROUP_POLICY, CASCADE,
                                     .min = 0, .max = 1, .value_name = "TAU",
                                     .help = "two exits are stable below this difference; 0 never exits early"},
    [RUNG_OPTION_POLICY_EXIT_PATIENCE] = {"policy.exit.patience", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_POLICY,
                                          CASCADE, .min = 1, .max = 128, .value_name = "P",
                                          .help = "stable comparisons in a row that are needed"},
    [RUNG_OPTION_POLICY_EXIT_CONFIDENCE] = {"policy.exit.confidence", false, NULL, 0, RUNG_TYPE_NUMBER,
                                            RUNG_GROUP_POLICY, CASCADE, .min = 0, .max = 1, .value_name = "C",
                                            .help = "calibrated confidence that rule agree needs"},
    [RUNG_OPTION_POLICY_EXIT_ENTROPY] = {"policy.exit.entropy", false, NULL, 0, RUNG_TYPE_NUMBERS, RUNG_GROUP_POLICY,
                                         CASCADE, .min = 0, .max = 100, .max_numbers = RUNG_EXIT_THRESHOLDS,
                                         .value_name = "NATS[,NATS...]",
                                         .help = "rule entropy stops below it, for all exits or exit by exit; the last "
                                                 "number stands for all further exits"},
    [RUNG_OPTION_POLICY_EXIT_FIRST_LAYER] = {"policy.exit.first_layer", false, NULL, 0, RUNG_TYPE_INTEGER,
                                             RUNG_GROUP_POLICY, CASCADE, .min = 1, .max = 128, .value_name = "LAYER",
                                             .help = "first layer after which a request may stop"},
    [RUNG_OPTION_POLICY_ENSEMBLE_WEIGHTS] = {"policy.ensemble.weights", false, NULL, 0, RUNG_TYPE_CHOICE,
                                             RUNG_GROUP_POLICY, CASCADE, .choices = "accuracy|last|fitted|vote",
                                             .value_name = "KIND",
                                             .help =
                                                 "weights of the levels (Eq 12): by accuracy, the last level alone, "
                                                 "those that rung fit found best for each set of levels, or each "
                                                 "level votes with its accuracy on the class that it says"},
    [RUNG_OPTION_POLICY_ENSEMBLE_DECIDE_ON] =
        {"policy.ensemble.decide_on", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_POLICY, CASCADE,
         .choices = "own|pooled", .value_name = "WHICH",
         .help = "confidence that decides: the level's own, or that of the pooled result"},
    [RUNG_OPTION_POLICY_ENSEMBLE_SOFTMAX] = {"policy.ensemble.softmax", false, NULL, 0, RUNG_TYPE_CHOICE,
                                             RUNG_GROUP_POLICY, CASCADE, .choices = "calibrated|raw",
                                             .value_name = "KIND",
                                             .help =
                                                 "what Eq 11 adds up: softmax with the fitted temperature, or without"},
    [RUNG_OPTION_NODE_LEVEL] = {"level", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_NODE, NODE, .value_name = "LEVEL",
                                .help = "which level the node is: its name, or its number from 1"},
    [RUNG_OPTION_NODE_ID] = {"id", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_NODE, NODE, .value_name = "ID",
                             .help =
                                 "the node's name among the hops of a request and in logs; made at start otherwise"},
    [RUNG_OPTION_NODE_SPEED] = {"speed", false, NULL, 0, RUNG_TYPE_NUMBER, RUNG_GROUP_NODE, NODE, .min = 0, .max = 1e6,
                                .above_min = true, .value_name = "FACTOR",
                                .help = "time = measured compute / speed, in reports; 1 otherwise"},
    [RUNG_OPTION_NODE_MEMORY] = {"memory", false, NULL, 0, RUNG_TYPE_SIZE, RUNG_GROUP_NODE, NODE, .min = 1,
                                 .max = MAX_SIZE, .value_name = "SIZE",
                                 .help = "most memory that the model may take; no limit otherwise"},
    [RUNG_OPTION_LISTEN] = {"listen", false, NULL, 0, RUNG_TYPE_LISTEN, RUNG_GROUP_NODE, NODE,
                            .value_name = "HOST:PORT", .default_text = "127.0.0.1:8080",
                            .help = "numeric address and port to serve on, [::1]:8080 for IPv6; port 0: a free one"},
    [RUNG_OPTION_INSECURE] = {"insecure", false, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_NODE, NODE,
                              .default_text = "false",
                              .help = "let other machines reach the node although this version has no TLS"},
    [RUNG_OPTION_UPSTREAM_ADDRESSES] = {"upstream.addresses", false, NULL, 0, RUNG_TYPE_URLS, RUNG_GROUP_NODE, NODE,
                                        .value_name = "URL[,URL...]",
                                        .help = "nodes of the level above, http://host:port; the first that answers"},
    [RUNG_OPTION_UPSTREAM_PROTOCOL] = {"upstream.protocol", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_NODE, NODE,
                                       .choices = "rung|tei|v2", .value_name = "NAME",
                                       .help = "what the level above speaks: a rung node, Text Embeddings Inference or "
                                               "Open Inference Protocol V2; by default as it was fitted"},
    [RUNG_OPTION_UPSTREAM_MODEL] = {"upstream.model", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_NODE, NODE,
                                    .value_name = "NAME",
                                    .help = "the model's name there (v2); by default the level's"},
    [RUNG_OPTION_UPSTREAM_INPUT] = {"upstream.input", false, NULL, 0, RUNG_TYPE_TEXT, RUNG_GROUP_NODE, NODE,
                                    .value_name = "NAME",
                                    .help = "the model's input that takes the text (v2); by default text"},
    [RUNG_OPTION_UPSTREAM_TOKEN_FILE] = {"upstream.token_file", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_NODE, NODE,
                                         .value_name = "FILE",
                                         .help = "file with the token that the level above asks for"},
    [RUNG_OPTION_UPSTREAM_CA_FILE] = {"upstream.ca_file", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_NODE, NODE,
                                      .value_name = "FILE",
                                      .help = "certificates that vouch for https addresses; the system's otherwise"},
    [RUNG_OPTION_UPSTREAM_DEADLINE] = {"upstream.deadline", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_NODE, NODE,
                                       .min = 0.001, .max = 600, .value_name = "TIME", .default_text = "1s",
                                       .help = "the level above answers within it, or the node answers alone"},
    [RUNG_OPTION_UPSTREAM_HEDGE_AFTER] = {"upstream.hedge_after", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_NODE, NODE,
                                          .min = 0, .max = 600, .value_name = "TIME", .default_text = "0ms",
                                          .help = "ask a second address, too, when the first has not answered for so "
                                                  "long; 0ms: never"},
    LINK_ROWS(RUNG_OPTION_UPSTREAM_LINK, "upstream.link", RUNG_GROUP_NODE, NODE,
              "link to emulate on the way up: lan, wifi, 5g, 4g, satellite, a trace file, or rtt, up and down; none "
              "otherwise"),
    [RUNG_OPTION_EMULATE_LINKS] = {"emulate-links", true, NULL, 0, RUNG_TYPE_BOOL, RUNG_GROUP_NODE, NODE,
                                   .default_text = "false",
                                   .help = "with a cascade's file: emulate its link to the level above"},
    [RUNG_OPTION_DEADLINE] = {"deadline", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_NODE, NODE, .min = 0.001,
                              .max = 600, .value_name = "TIME", .default_text = "10s",
                              .help = "most time of a request, also when its client allows more"},
    [RUNG_OPTION_BATCH_MAX_TOKENS] = {"batch.max_tokens", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_NODE, NODE,
                                      .min = 16, .max = 1048576, .value_name = "N", .default_text = "512",
                                      .help = "tokens that are computed together at most"},
    [RUNG_OPTION_BATCH_MAX_TIME] = {"batch.max_time", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_NODE, NODE, .min = 0,
                                    .max = 60, .value_name = "TIME", .default_text = "20ms",
                                    .help = "texts are computed together only while that is estimated to take no "
                                            "longer"},
    [RUNG_OPTION_BATCH_MAX_WAIT] = {"batch.max_wait", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_NODE, NODE, .min = 0,
                                    .max = 1, .value_name = "TIME", .default_text = "0ms",
                                    .help = "how long a request may wait for others to be computed with"},
    [RUNG_OPTION_LIMITS_BODY] = {"limits.body", false, NULL, 0, RUNG_TYPE_SIZE, RUNG_GROUP_NODE, NODE, .min = 1024,
                                 .max = 1073741824, .value_name = "SIZE", .default_text = "1MiB",
                                 .help = "largest body of a request"},
    [RUNG_OPTION_LIMITS_INPUTS] = {"limits.inputs", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_NODE, NODE, .min = 1,
                                   .max = 4096, .value_name = "N", .default_text = "64",
                                   .help = "most texts of one request"},
    [RUNG_OPTION_LIMITS_QUEUE] = {"limits.queue", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_NODE, NODE, .min = 0.001,
                                  .max = 60, .value_name = "TIME", .default_text = "200ms",
                                  .help = "most work that may wait; beyond it requests are refused at once"},
    [RUNG_OPTION_LIMITS_CONNECTIONS] = {"limits.connections", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_NODE, NODE,
                                        .min = 1, .max = 1e6, .value_name = "N", .default_text = "16384",
                                        .help = "most connections of all clients"},
    [RUNG_OPTION_LIMITS_CONNECTIONS_PER_CLIENT] = {"limits.connections_per_client", false, NULL, 0, RUNG_TYPE_INTEGER,
                                                   RUNG_GROUP_NODE, NODE, .min = 0, .max = 1e6, .value_name = "N",
                                                   .default_text = "256",
                                                   .help = "most connections of one client address; 0: no limit"},
    [RUNG_OPTION_LIMITS_REQUESTS_PER_CLIENT] =
        {"limits.requests_per_client", false, NULL, 0, RUNG_TYPE_INTEGER, RUNG_GROUP_NODE, NODE, .min = 0, .max = 1e6,
         .value_name = "N", .default_text = "0",
         .help = "most requests of one client address that are not answered "
                 "yet; 0: no limit"},
    [RUNG_OPTION_MODERATION_FLAGGED] = {"moderation.flagged", false, NULL, 0, RUNG_TYPE_NAMES, RUNG_GROUP_NODE, NODE,
                                        .value_name = "LABEL[,LABEL...]",
                                        .help = "labels that flag a text in POST /v1/moderations; all but the first "
                                                "otherwise, all where a text may have several"},
    [RUNG_OPTION_TLS_CERT_FILE] = {"tls.cert_file", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_NODE, NODE, .later = "*",
                                   .later_hint = NO_TLS, .value_name = "FILE", .help = "the node's certificate"},
    [RUNG_OPTION_TLS_KEY_FILE] = {"tls.key_file", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_NODE, NODE, .later = "*",
                                  .later_hint = NO_TLS, .value_name = "FILE", .help = "and its key"},
    [RUNG_OPTION_TLS_CLIENT_CA_FILE] = {"tls.client_ca_file", false, NULL, 0, RUNG_TYPE_PATH, RUNG_GROUP_NODE, NODE,
                                        .later = "*", .later_hint = NO_TLS, .value_name = "FILE",
                                        .help = "certificates that vouch for clients"},
    [RUNG_OPTION_DRAIN] = {"drain", false, NULL, 0, RUNG_TYPE_TIME, RUNG_GROUP_NODE, NODE, .min = 0, .max = 3600,
                           .value_name = "TIME", .default_text = "10s",
                           .help = "time to finish what was accepted, after SIGTERM"},
    [RUNG_OPTION_LOG_LEVEL] = {"log.level", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_NODE, NODE,
                               .choices = "error|warn|info|debug", .value_name = "LEVEL", .default_text = "info",
                               .help = "least weight of what is logged"},
    [RUNG_OPTION_LOG_FORMAT] = {"log.format", false, NULL, 0, RUNG_TYPE_CHOICE, RUNG_GROUP_NODE, NODE,
                                .choices = "json|logfmt", .value_name = "FORMAT", .default_text = "json",
                                .help = "a JSON object or key=value pairs a line"},
};

static const rung_command_spec commands[] = {
    {CLASSIFY, "classify", "[TEXT...]", 0, UINT32_MAX, "classify texts",
     "Classifies the texts given as arguments, or else standard input: one text a line, or with --json one JSON object "
     "{\"id\",\"text\"[,\"text_pair\"][,\"label\"]} a line. Answers come in the order of input. A bad line gives an "
     "error line with its "
     "number, and the exit code is 1 at the end."},
    {DEMO, "demo", "", 0, 0, "run the embedded cascade on real reviews",
     "Starts the levels of the default cascade as processes on loopback, with its links emulated, asks the first one "
     "to "
     "classify the example reviews, and prints accuracy, latency, layers, words and bytes beside those of a plain "
     "threshold, Tabi and always-cloud. Then the nodes stay until Ctrl-C; with --once they end."},
    {QUANTIZE, "quantize", "HF_DIR", 1, 1, "pack a Hugging Face directory into one int8 file",
     "Reads a Hugging Face directory, quantises its weights to int8, and writes one file with tokenizer, labels and "
     "exit heads."},
    {FIT, "fit", "", 0, 0, "fit temperatures, weights and thresholds",
     "Runs every level on labelled texts and writes calibration.json: a temperature for each exit, the accuracy of "
     "each level, weights and a temperature for each set of levels that answer together, learned deferral, and for "
     "each level the least threshold that reaches --agreement with the top level."},
    {BENCH, "bench", "", 0, 0, "measure the engine against the machine's peak",
     "Times the encoder and compares it with the peak rate that it measures on this machine in the same run."},
    {PROFILE, "profile", "", 0, 0, "measure latency by length and exit, memory and accuracy",
     "Runs the model of every level on one thread and one text at a time: the time of the layers up to each exit by "
     "length with a "
     "fitted curve, load time and memory. With --data also the accuracy and calibration of each exit."},
    {EVAL, "eval", "", 0, 0, "compare methods on labelled texts, and write a report",
     "Records what every level says of the texts, then replays policies over the record with the emulated links: the "
     "paper's table and figures, every method tuned and certified alike, what each part brings, other networks. Writes "
     "report.md, tables as CSV, figures as SVG and the policy that was found into -o DIR. The record stays there: a "
     "second run computes only what it has not."},
    {SERVE, "serve", "", 0, 0, "serve one level over HTTP",
     "Runs one level as a server: the one of a node's file (-c node.yaml), the one that --level names of a cascade's "
     "file "
     "(-c cascade.yaml; without -c of the default cascade), or one model alone (-m MODEL). It answers on --listen, and "
     "asks "
     "--upstream.addresses where it is not sure."},
    {SHOW, "config", "show", 1, 1, "print every value in force and where it came from",
     "Loads the cascade or node and prints each option's value with its source: a default, the policy, the "
     "calibration, a "
     "file's line or a flag."},
    {RUNG_COMMAND_COMPLETION, "completion", "", 0, 0, "print bash completion",
     "Prints a script for bash; source it, or put it into the completions directory."},
    {RUNG_COMMAND_MAN, "man", "", 0, 0, "print the manual page", "Prints rung's manual page in roff, for section 1."},
};

static const char later_commands[] = "plan|sim";

const rung_option_spec *rung_option_spec_of(rung_option_id id)
{
    assert(id < RUNG_OPTION_COUNT);
    return &specs[id];
}

bool rung_option_is_level(rung_option_id id)
{
    return id >= RUNG_OPTION_LEVEL_NAME && id <= RUNG_OPTION_LEVEL_LINK_LAST;
}

bool rung_option_in_file(rung_option_id id, uint32_t files)
{
    const rung_option_spec *spec = rung_option_spec_of(id);
    if (spec->flag_only) {
        return false;
    }
    if (rung_option_is_level(id)) {
        return (files & RUNG_FILE_CASCADE) != 0;
    }
    bool node_only = spec->group == RUNG_GROUP_NODE || id == RUNG_OPTION_MODEL;
    return node_only ? (files & RUNG_FILE_NODE) != 0 : files != 0;
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
