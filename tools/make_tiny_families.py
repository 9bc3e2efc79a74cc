#!/usr/bin/env python3
"""Writes tests/golden/tiny-distilbert, tiny-roberta, tiny-bertweet and tiny-sharded: small random classifiers of other
families and forms.

tiny-distilbert  DistilBERT: field and tensor names of its own, no token types, ReLU before the classifier; activation relu.
tiny-roberta     RoBERTa: positions that follow the padding id, one token type, a classifier of two layers; byte-level BPE.
tiny-bertweet    RoBERTa with BERTweet's vocab.txt and bpe.codes.
tiny-sharded     BERT for several labels at once, its weights in two shards with LayerNorm.gamma and LayerNorm.beta.

Weights are drawn as make_tiny_bert.py draws them, and stored as float16.

    python3 tools/make_tiny_families.py
"""

import argparse
import json
import os
import string

import torch
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import RobertaProcessing

from make_tiny_bert import ROOT, WORDS, Weights, make_tokenizer, vocabulary, write_text

DISTILBERT_LAYER = [
    ("attention.q_lin", "hidden", "hidden", 1.3),
    ("attention.k_lin", "hidden", "hidden", 1.3),
    ("attention.v_lin", "hidden", "hidden", 1.0),
    ("attention.out_lin", "hidden", "hidden", 1.0),
    ("sa_layer_norm", "hidden", None, None),
    ("ffn.lin1", "intermediate", "hidden", 1.0),
    ("ffn.lin2", "hidden", "intermediate", 1.5),
    ("output_layer_norm", "hidden", None, None),
]
BERT_LAYER = [
    ("attention.self.query", "hidden", "hidden", 1.3),
    ("attention.self.key", "hidden", "hidden", 1.3),
    ("attention.self.value", "hidden", "hidden", 1.0),
    ("attention.output.dense", "hidden", "hidden", 1.0),
    ("attention.output.LayerNorm", "hidden", None, None),
    ("intermediate.dense", "intermediate", "hidden", 1.0),
    ("output.dense", "hidden", "intermediate", 1.5),
    ("output.LayerNorm", "hidden", None, None),
]

VARIANTS = {
    "tiny-distilbert": {
        "seed": 3,
        "layers": 3,
        "hidden": 24,
        "heads": 2,
        "intermediate": 40,
        "positions": 64,
        "types": 0,
        "labels": ["neg", "neutral", "pos"],
        "prefix": "distilbert",
        "layer_prefix": "transformer.layer",
        "layer": DISTILBERT_LAYER,
        "pooler": "pre_classifier",
        "classifier": "classifier",
        "config": {
            "activation": "relu",
            "architectures": ["DistilBertForSequenceClassification"],
            "dim": 24,
            "hidden_dim": 40,
            "model_type": "distilbert",
            "n_heads": 2,
            "n_layers": 3,
            "pad_token_id": 0,
            "sinusoidal_pos_embds": False,
        },
    },
    "tiny-roberta": {
        "seed": 21,
        "layers": 2,
        "hidden": 32,
        "heads": 4,
        "intermediate": 48,
        "positions": 66,
        "types": 1,
        "labels": ["negative", "neutral", "positive"],
        "prefix": "roberta",
        "layer_prefix": "encoder.layer",
        "layer": BERT_LAYER,
        "pooler": "classifier.dense",
        "classifier": "classifier.out_proj",
        "config": {
            "architectures": ["RobertaForSequenceClassification"],
            "hidden_act": "gelu",
            "hidden_size": 32,
            "intermediate_size": 48,
            "layer_norm_eps": 1e-5,
            "model_type": "roberta",
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "pad_token_id": 1,
            "type_vocab_size": 1,
        },
    },
    "tiny-bertweet": {
        "seed": 5,
        "layers": 2,
        "hidden": 16,
        "heads": 2,
        "intermediate": 24,
        "positions": 66,
        "types": 1,
        "labels": ["NEG", "NEU", "POS"],
        "prefix": "roberta",
        "layer_prefix": "encoder.layer",
        "layer": BERT_LAYER,
        "pooler": "classifier.dense",
        "classifier": "classifier.out_proj",
        "tweets": True,
        "config": {
            "architectures": ["RobertaForSequenceClassification"],
            "hidden_act": "gelu",
            "hidden_size": 16,
            "intermediate_size": 24,
            "layer_norm_eps": 1e-5,
            "model_type": "roberta",
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "pad_token_id": 1,
            "tokenizer_class": "BertweetTokenizer",
            "type_vocab_size": 1,
        },
    },
    "tiny-sharded": {
        "seed": 8,
        "layers": 3,
        "hidden": 20,
        "heads": 2,
        "intermediate": 36,
        "positions": 64,
        "types": 2,
        "labels": ["funny", "sad", "long", "loud"],
        "prefix": "bert",
        "layer_prefix": "encoder.layer",
        "layer": BERT_LAYER,
        "pooler": "bert.pooler.dense",
        "classifier": "classifier",
        "shards": 2,
        "config": {
            "architectures": ["BertForSequenceClassification"],
            "hidden_act": "gelu",
            "hidden_size": 20,
            "intermediate_size": 36,
            "layer_norm_eps": 1e-12,
            "model_type": "bert",
            "num_attention_heads": 2,
            "num_hidden_layers": 3,
            "pad_token_id": 0,
            "problem_type": "multi_label_classification",
            "type_vocab_size": 2,
        },
    },
}


def byte_level():
    """RoBERTa's tokenizer with few merges, learned from the words of the other models."""
    bpe = ByteLevelBPETokenizer()
    lines = [f"the {word} was {word}ing, not {word}ed." for word in vocabulary(False)[100:]]
    bpe.train_from_iterator(lines, vocab_size=320, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False)
    tokenizer = bpe._tokenizer
    tokenizer.post_processor = RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return tokenizer


def save_tweet_vocabulary(directory):
    """bpe.codes: pairs that are merged, first the most frequent; vocab.txt: pieces, "@@" behind those that go on. Returns
    how many ids there are: four special tokens come before the file's, and <mask> behind."""
    pairs, pieces = [], []
    for letter in string.ascii_letters + string.digits + "!\"#'(),-.:;?/<>@":
        pieces += [letter + "@@", letter]
    for word in WORDS + ["@USER", "HTTPURL"]:
        symbols = list(word[:-1]) + [word[-1] + "</w>"]
        while len(symbols) > 1:
            pairs.append((symbols[0], symbols[1]))
            symbols[:2] = [symbols[0] + symbols[1]]
            pieces.append(symbols[0].removesuffix("</w>") if len(symbols) == 1 else symbols[0] + "@@")
    pairs, pieces = list(dict.fromkeys(pairs)), list(dict.fromkeys(pieces))
    codes = [f"{left} {right} {len(pairs) - rank}" for rank, (left, right) in enumerate(pairs)]
    write_text(os.path.join(directory, "bpe.codes"), "\n".join(codes))
    write_text(os.path.join(directory, "vocab.txt"), "\n".join(f"{piece} 1" for piece in pieces))
    config = {"tokenizer_class": "BertweetTokenizer", "normalization": True, "model_max_length": 64}
    write_text(os.path.join(directory, "tokenizer_config.json"), json.dumps(config, separators=(",", ":")))
    return 4 + len(pieces) + 1


def make_weights(variant, vocab_size):
    weights, tensors = Weights(variant["seed"]), {}
    hidden, prefix, labels = variant["hidden"], variant["prefix"], len(variant["labels"])
    tables = [("word", vocab_size, 0.5), ("position", variant["positions"], 0.2), ("token_type", variant["types"], 0.2)]
    for name, rows, scale in tables:
        if rows > 0:
            tensors[f"{prefix}.embeddings.{name}_embeddings.weight"] = weights.normal((rows, hidden), scale)
    weights.layer_norm(tensors, f"{prefix}.embeddings.LayerNorm", hidden)
    for layer in range(variant["layers"]):
        for name, rows, columns, gain in variant["layer"]:
            full = f"{prefix}.{variant['layer_prefix']}.{layer}.{name}"
            if columns is None:
                weights.layer_norm(tensors, full, variant[rows])
            else:
                weights.linear(tensors, full, variant[rows], variant[columns], gain)
    weights.linear(tensors, variant["pooler"], hidden, hidden)
    weights.linear(tensors, variant["classifier"], labels, hidden, 2.0)
    exits = {}
    for layer in range(variant["layers"] - 1):
        weights.linear(exits, f"exits.{layer}", labels, hidden)
    return [{name: tensor.half() for name, tensor in part.items()} for part in (tensors, exits)]


def save_shards(directory, tensors, count):
    """As save_pretrained does with max_shard_size: a map from tensor to file, and the files."""
    names, weight_map = list(tensors), {}
    for shard in range(count):
        file = f"model-{shard + 1:05}-of-{count:05}.safetensors"
        part = names[shard * len(names) // count : (shard + 1) * len(names) // count]
        save_file({name: tensors[name] for name in part}, os.path.join(directory, file), metadata={"format": "pt"})
        weight_map.update({name: file for name in part})
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    write_text(os.path.join(directory, "model.safetensors.index.json"), json.dumps(index, separators=(",", ":")))


def write_variant(directory, variant):
    os.makedirs(directory, exist_ok=True)
    if "tweets" in variant:
        vocab_size = save_tweet_vocabulary(directory)
    else:
        tokenizer = byte_level() if variant["prefix"] == "roberta" else make_tokenizer(vocabulary(False), False)
        vocab_size = tokenizer.get_vocab_size()
        write_text(os.path.join(directory, "tokenizer.json"), tokenizer.to_str(pretty=False))
    tensors, exits = make_weights(variant, vocab_size)
    if "shards" in variant:
        old = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
            for name, tensor in tensors.items()
        }
        save_shards(directory, old, variant["shards"])
    else:
        save_file(tensors, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})
    save_file(exits, os.path.join(directory, "exits.safetensors"))
    config = {
        **variant["config"],
        "id2label": {str(index): label for index, label in enumerate(variant["labels"])},
        "label2id": {label: index for index, label in enumerate(variant["labels"])},
        "max_position_embeddings": variant["positions"],
        "vocab_size": vocab_size,
    }
    write_text(os.path.join(directory, "config.json"), json.dumps(config, separators=(",", ":"), sort_keys=True))
    size = sum(entry.stat().st_size for entry in os.scandir(directory))
    print(f"{os.path.basename(directory)}: {size} bytes, {vocab_size} words")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "-o", "--output", default=os.path.join(ROOT, "tests", "golden"), help="directory to write all to"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name, variant in VARIANTS.items():
        write_variant(os.path.join(arguments.output, name), variant)


if __name__ == "__main__":
    main()
