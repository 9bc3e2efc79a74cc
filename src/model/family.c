/* family.c: the table of families. See family.h. Called by model_config.c.
 * Source: Hugging Face transformers, modeling_bert.py, modeling_distilbert.py, modeling_roberta.py and their
 * configurations. BERTweet is RoBERTa with a tokenizer of its own. */
#include "model/family.h"

#include <string.h>

#define BERT_FIELDS                                                                                                    \
    {                                                                                                                  \
        .num_layers = "num_hidden_layers", .hidden_size = "hidden_size", .intermediate_size = "intermediate_size",     \
        .num_heads = "num_attention_heads", .activation = "hidden_act", .layer_norm_eps = "layer_norm_eps",            \
        .type_vocab_size = "type_vocab_size"                                                                           \
    }

#define BERT_LAYER                                                                                                     \
    {                                                                                                                  \
        .query = "attention.self.query", .key = "attention.self.key", .value = "attention.self.value",                 \
        .attention_output = "attention.output.dense", .ffn_in = "intermediate.dense", .ffn_out = "output.dense",       \
        .attention_norm = "attention.output.LayerNorm", .output_norm = "output.LayerNorm"                              \
    }

static const char *const BERT_ENCODERS[] = {"BertModel", "BertForMaskedLM", "BertForPreTraining",
                                            "BertForNextSentencePrediction", NULL};
static const char *const DISTILBERT_ENCODERS[] = {"DistilBertModel", "DistilBertForMaskedLM", NULL};
static const char *const ROBERTA_ENCODERS[] = {"RobertaModel", "RobertaForMaskedLM", NULL};

static const rung_family FAMILIES[] = {
    {
        .model_type = "bert",
        .classifier = "BertForSequenceClassification",
        .encoders = BERT_ENCODERS,
        .fields = BERT_FIELDS,
        .pooler_form = RUNG_POOLER_TANH,
        .prefix = "bert.",
        .layers = "encoder.layer.",
        .layer = BERT_LAYER,
        .pooler = "pooler.dense",
        .pooler_is_in_encoder = true,
        .classifier_head = "classifier",
    },
    {
        .model_type = "distilbert",
        .classifier = "DistilBertForSequenceClassification",
        .encoders = DISTILBERT_ENCODERS,
        .fields = {.num_layers = "n_layers",
                   .hidden_size = "dim",
                   .intermediate_size = "hidden_dim",
                   .num_heads = "n_heads",
                   .activation = "activation"},
        .ignores_type_ids = true,
        .pooler_form = RUNG_POOLER_RELU,
        .prefix = "distilbert.",
        .layers = "transformer.layer.",
        .layer = {.query = "attention.q_lin",
                  .key = "attention.k_lin",
                  .value = "attention.v_lin",
                  .attention_output = "attention.out_lin",
                  .ffn_in = "ffn.lin1",
                  .ffn_out = "ffn.lin2",
                  .attention_norm = "sa_layer_norm",
                  .output_norm = "output_layer_norm"},
        .pooler = "pre_classifier",
        .classifier_head = "classifier",
    },
    {
        .model_type = "roberta",
        .classifier = "RobertaForSequenceClassification",
        .encoders = ROBERTA_ENCODERS,
        .fields = BERT_FIELDS,
        .positions_follow_padding = true,
        .ignores_type_ids = true,
        .pooler_form = RUNG_POOLER_TANH,
        .prefix = "roberta.",
        .layers = "encoder.layer.",
        .layer = BERT_LAYER,
        .pooler = "classifier.dense",
        .classifier_head = "classifier.out_proj",
    },
};

const rung_family *rung_family_at(size_t index)
{
    return index < sizeof FAMILIES / sizeof FAMILIES[0] ? &FAMILIES[index] : NULL;
}

const rung_family *rung_family_find(const char *model_type)
{
    const rung_family *family;
    for (size_t i = 0; (family = rung_family_at(i)) != NULL; i++) {
        if (strcmp(family->model_type, model_type) == 0) {
            return family;
        }
    }
    return NULL;
}
