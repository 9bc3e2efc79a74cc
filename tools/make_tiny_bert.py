#!/usr/bin/env python3
"""Writes tests/golden/tiny-bert and tiny-bert-odd: two small random BERT classifiers as Hugging Face directories.

tiny-bert      sizes of the usual kind, float32, uncased, three labels.
tiny-bert-odd  sizes that no SIMD width divides (hidden 52, heads of 26, intermediate 76, 37 positions), bfloat16,
               cased, two labels, and what older files have: LayerNorm.gamma and LayerNorm.beta, and the buffer
               position_ids.

Weights are random but not uniform in scale: matrices keep the variance of their input, biases, gammas and betas are
not 0 and 1, and a few channels are outliers as in trained models. The exit heads are float32, as those of trained
models. The seeds were chosen so that the texts of tests/golden/texts.jsonl get every label.

    python3 tools/make_tiny_bert.py
"""

import argparse
import json
import os
import string

import numpy
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = """the a and of to is it in was that film movie not good bad great plot actor story very one no but with for as
this love hate funny dull walk talk play watch""".split()
ENDINGS = ["##ing", "##ed", "##er", "##ly", "##s", "##y", "##ness", "##able", "##ious", "##th"]
CASED = ["The", "A", "It", "This", "Great", "Bad", "É", "é", "##é", "ß", "##ß", "ö", "##ö"]
UNICODE = ["中", "文", "и", "##и", "д", "##д", "ل", "##ل", "€", "…", "–", "🎬"]

VARIANTS = {
    "tiny-bert": {
        "seed": 88,
        "layers": 3,
        "hidden": 32,
        "heads": 2,
        "intermediate": 64,
        "positions": 128,
        "cased": False,
        "labels": ["contradiction", "neutral", "entailment"],
        "dtype": torch.float32,
        "old_names": False,
    },
    "tiny-bert-odd": {
        "seed": 50,
        "layers": 3,
        "hidden": 52,
        "heads": 2,
        "intermediate": 76,
        "positions": 37,
        "cased": True,
        "labels": ["neg", "pos"],
        "dtype": torch.bfloat16,
        "old_names": True,
    },
}


def vocabulary(cased):
    letters = string.ascii_lowercase + string.digits
    words = (
        SPECIAL
        + list(letters)
        + ["##" + letter for letter in letters]
        + list("!\"'(),-.:;?/<>#[]")
        + WORDS
        + ENDINGS
        + UNICODE
    )
    words += CASED if cased else []
    return list(dict.fromkeys(words))


def make_tokenizer(words, cased):
    tokenizer = Tokenizer(
        models.WordPiece(
            {word: index for index, word in enumerate(words)}, unk_token="[UNK]", max_input_chars_per_word=100
        )
    )
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=not cased
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


class Weights:
    """Draws tensors in a fixed order from one seeded stream."""

    def __init__(self, seed):
        self.random = numpy.random.Generator(numpy.random.PCG64(seed))

    def normal(self, shape, scale, mean=0.0):
        return torch.from_numpy((mean + scale * self.random.standard_normal(shape)).astype(numpy.float32))

    def linear(self, tensors, name, rows, columns, gain=1.0):
        """weight [rows, columns], bias [rows]."""
        tensors[f"{name}.weight"] = self.normal((rows, columns), gain / columns**0.5)
        tensors[f"{name}.bias"] = self.normal(rows, 0.1)

    def layer_norm(self, tensors, name, hidden):
        gamma = self.normal(hidden, 0.2, 1.0)
        gamma[self.random.integers(hidden)] = 3.0
        tensors[f"{name}.weight"] = gamma
        tensors[f"{name}.bias"] = self.normal(hidden, 0.2)


def make_weights(variant, vocab_size):
    weights, tensors, hidden = Weights(variant["seed"]), {}, variant["hidden"]
    tensors["bert.embeddings.word_embeddings.weight"] = weights.normal((vocab_size, hidden), 0.5)
    tensors["bert.embeddings.position_embeddings.weight"] = weights.normal((variant["positions"], hidden), 0.2)
    tensors["bert.embeddings.token_type_embeddings.weight"] = weights.normal((2, hidden), 0.2)
    weights.layer_norm(tensors, "bert.embeddings.LayerNorm", hidden)
    for layer in range(variant["layers"]):
        prefix = f"bert.encoder.layer.{layer}"
        # Scores of a few units, so that attention prefers some tokens.
        weights.linear(tensors, f"{prefix}.attention.self.query", hidden, hidden, 1.3)
        weights.linear(tensors, f"{prefix}.attention.self.key", hidden, hidden, 1.3)
        weights.linear(tensors, f"{prefix}.attention.self.value", hidden, hidden)
        weights.linear(tensors, f"{prefix}.attention.output.dense", hidden, hidden)
        weights.layer_norm(tensors, f"{prefix}.attention.output.LayerNorm", hidden)
        weights.linear(tensors, f"{prefix}.intermediate.dense", variant["intermediate"], hidden)
        weights.linear(tensors, f"{prefix}.output.dense", hidden, variant["intermediate"], 1.5)
        weights.layer_norm(tensors, f"{prefix}.output.LayerNorm", hidden)
    weights.linear(tensors, "bert.pooler.dense", hidden, hidden)
    weights.linear(tensors, "classifier", len(variant["labels"]), hidden, 2.0)
    exits = {}
    for layer in range(variant["layers"] - 1):
        weights.linear(exits, f"exits.{layer}", len(variant["labels"]), hidden)
    return tensors, exits


def as_old_file(tensors, positions):
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    renamed["bert.embeddings.position_ids"] = torch.arange(positions).reshape(1, positions)
    return renamed


def make_config(variant, vocab_size):
    return {
        "architectures": ["BertForSequenceClassification"],
        "attention_probs_dropout_prob": 0.1,
        "classifier_dropout": None,
        "dtype": str(variant["dtype"]).removeprefix("torch."),
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": variant["hidden"],
        "id2label": {str(index): label for index, label in enumerate(variant["labels"])},
        "initializer_range": 0.02,
        "intermediate_size": variant["intermediate"],
        "label2id": {label: index for index, label in enumerate(variant["labels"])},
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": variant["positions"],
        "model_type": "bert",
        "num_attention_heads": variant["heads"],
        "num_hidden_layers": variant["layers"],
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "type_vocab_size": 2,
        "vocab_size": vocab_size,
    }


def make_tokenizer_config(variant):
    return {
        "cls_token": "[CLS]",
        "do_lower_case": not variant["cased"],
        "mask_token": "[MASK]",
        "model_max_length": variant["positions"],
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
        "unk_token": "[UNK]",
    }


def write_text(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.rstrip("\n") + "\n")


def write_variant(directory, variant):
    os.makedirs(directory, exist_ok=True)
    words = vocabulary(variant["cased"])
    tensors, exits = make_weights(variant, len(words))
    if variant["old_names"]:
        tensors = as_old_file(tensors, variant["positions"])
    tensors = {
        name: tensor.to(variant["dtype"]) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
    save_file(tensors, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})
    save_file(exits, os.path.join(directory, "exits.safetensors"))
    write_text(os.path.join(directory, "vocab.txt"), "\n".join(words))
    write_text(os.path.join(directory, "config.json"), json.dumps(make_config(variant, len(words)), indent=2))
    write_text(os.path.join(directory, "tokenizer_config.json"), json.dumps(make_tokenizer_config(variant), indent=1))
    write_text(os.path.join(directory, "tokenizer.json"), make_tokenizer(words, variant["cased"]).to_str(pretty=False))
    size = sum(entry.stat().st_size for entry in os.scandir(directory))
    print(f"{os.path.basename(directory)}: {size} bytes, {len(words)} words")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "-o", "--output", default=os.path.join(ROOT, "tests", "golden"), help="directory to write both to"
    )
    arguments = parser.parse_args()
    for name, variant in VARIANTS.items():
        write_variant(os.path.join(arguments.output, name), variant)


if __name__ == "__main__":
    main()
