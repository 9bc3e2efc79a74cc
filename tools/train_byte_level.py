#!/usr/bin/env python3
"""Trains a byte-level BPE tokenizer of RoBERTa's kind on the texts of JSON lines and writes DIR/tokenizer.json. For speed and comparisons: the small one of
the tests is made by tools/tokenizer_golden.py.

    tools/train_byte_level.py DIR TEXTS.jsonl[.zst] [--merges 20000] [--texts 8000] [--prefix-space]

Needs the Python packages tokenizers and zstandard.
"""
import argparse
import io
import itertools
import json
import pathlib

import zstandard
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def texts(path, limit):
    with open(path, "rb") as raw:
        stream = zstandard.ZstdDecompressor().stream_reader(raw) if path.endswith(".zst") else raw
        for line in itertools.islice(io.TextIOWrapper(stream, encoding="utf-8", newline="\n"), limit):
            yield json.loads(line)["text"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("texts")
    parser.add_argument("--merges", type=int, default=20000)
    parser.add_argument("--texts", dest="limit", type=int, default=8000)
    parser.add_argument("--prefix-space", action="store_true")
    options = parser.parse_args()
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=options.prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(t, lstrip=t == "<mask>", normalized=False, special=True) for t in SPECIAL]
    tokenizer.train_from_iterator(texts(options.texts, options.limit), trainers.BpeTrainer(
        vocab_size=len(SPECIAL) + 256 + options.merges, min_frequency=2, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=options.prefix_space)
    options.directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(options.directory / "tokenizer.json"))


if __name__ == "__main__":
    main()
