#!/usr/bin/env python3
"""Writes the inputs of examples/: reviews.jsonl.zst (a seeded sample of IMDB test reviews) and lines.jsonl (made up).

The sample is drawn from the whole file and keeps its order. Standard library and the zstd command only.

    python3 tools/make_examples.py
"""

import argparse
import os
import random

import jsonl

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

LINES = [
    {"id": "short", "text": "A warm, funny film."},
    {"id": "negation", "text": "Not a single joke lands, and it is not short either.", "label": "neg"},
    {
        "id": "mixed",
        "text": "The plot is thin and the ending rushed, but the two leads are so good together that I would"
        " happily watch it again.",
        "label": "pos",
    },
    {"id": "unicode", "text": "Très drôle – ein schöner Film. 素晴らしい! 🎬"},
    {"text": "I fell asleep twice.\nThe second time nobody woke me up."},
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", default=os.path.join(ROOT, "..", "shared"), help="directory with data/")
    parser.add_argument("--reviews", type=int, default=200, help="size of the sample")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", default=os.path.join(ROOT, "examples"), help="directory to write to")
    arguments = parser.parse_args()
    rows = list(jsonl.read(os.path.join(arguments.shared, "data", "imdb", "test.jsonl.zst")))
    chosen = sorted(random.Random(arguments.seed).sample(range(len(rows)), arguments.reviews))
    sample = [{key: rows[index][key] for key in ("id", "text", "label")} for index in chosen]
    jsonl.write(os.path.join(arguments.output, "reviews.jsonl.zst"), sample)
    jsonl.write(os.path.join(arguments.output, "lines.jsonl"), LINES)
    positive = sum(row["label"] == "pos" for row in sample)
    print(f"reviews.jsonl.zst: {len(sample)} reviews, {positive} pos, {len(sample) - positive} neg")


if __name__ == "__main__":
    main()
