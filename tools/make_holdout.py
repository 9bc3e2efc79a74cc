#!/usr/bin/env python3
"""Writes the hold-out: the 2,500 IMDB training reviews that the trained models of ../shared never saw.

These are the rows with zero-based number % 10 == 0; they calibrate the cascade. They are written as they are, {"id",
"text", "label"}. Standard library and the zstd command only.

    python3 tools/make_holdout.py -o /tmp/holdout.jsonl.zst
"""

import argparse
import os

import jsonl

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", default=os.path.join(ROOT, "..", "shared"), help="directory with data/")
    parser.add_argument("--every", type=int, default=10, help="keep the rows whose number is a multiple of this")
    parser.add_argument("-o", "--output", required=True, help="FILE.jsonl or FILE.jsonl.zst")
    arguments = parser.parse_args()
    rows = list(jsonl.read(os.path.join(arguments.shared, "data", "imdb", "train.jsonl.zst")))[:: arguments.every]
    jsonl.write(arguments.output, rows)
    print(f"{arguments.output}: {len(rows)} rows")


if __name__ == "__main__":
    main()
