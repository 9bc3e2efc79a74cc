#!/usr/bin/env python3
"""Writes sentences of longer texts as JSON lines {"id", "text"}: unlabelled short texts to distil a model on.

    tools/train/sentences.py --count 80000 -o sentences.jsonl ../shared/data/imdb/unlabelled.jsonl.zst

A sentence ends at . ! or ? before white space; those of 4 to 40 words are taken, at random and in the order of the texts.
Standard library and the zstd command only.
"""

import argparse
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import jsonl

BREAK = re.compile(r"(?:<br\s*/?>\s*)+")
END = re.compile(r"(?<=[.!?])\s+")


def split_sentences(text, least_words=4, most_words=40):
    """Sentences of a text, line breaks of HTML taken as ends too."""
    parts = [part.strip() for line in BREAK.split(text) for part in END.split(line)]
    return [part for part in parts if least_words <= len(part.split()) <= most_words]


def choose(rows, count, seed):
    """`count` sentences of all texts, or all of them when there are fewer."""
    sentences = [
        {"id": f"{row.get('id', i)}/{place}", "text": sentence}
        for i, row in enumerate(rows)
        for place, sentence in enumerate(split_sentences(row["text"]))
    ]
    chosen = sorted(random.Random(seed).sample(range(len(sentences)), min(count, len(sentences))))
    return [sentences[i] for i in chosen]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", metavar="FILE", help="JSON lines with text, .zst or not")
    parser.add_argument("--count", type=int, default=80000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", required=True)
    arguments = parser.parse_args()
    rows = choose(jsonl.read(arguments.texts), arguments.count, arguments.seed)
    jsonl.write(arguments.output, rows)
    print(f"{arguments.output}: {len(rows)} sentences")


if __name__ == "__main__":
    main()
