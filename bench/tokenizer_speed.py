#!/usr/bin/env python3
"""Tokenizer speed: rung against Hugging Face's tokenizers, one thread each, in turn, in processor time; and whether their ids are equal.

    bench/tokenizer_speed.py DIR TEXTS.jsonl[.zst] [--turns N] [--texts N] [--bench build/bench/tokenizer_speed]

DIR holds a tokenizer.json. Each turn is one run of rung (5 rounds over all texts, the median counts) and one of tokenizers (encode_batch_fast,
which computes no offsets; RAYON_NUM_THREADS=1). Needs the Python packages tokenizers and zstandard.
"""
import argparse
import array
import hashlib
import io
import json
import os
import pathlib
import statistics
import struct
import subprocess
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tokenizers  # noqa: E402  (it reads the environment)
import zstandard  # noqa: E402

BATCH = 500


def read_texts(path, limit):
    data = pathlib.Path(path).read_bytes()
    if path.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return [json.loads(line)["text"] for line in data.decode().split("\n") if line][:limit]


def run_reference(tokenizer, texts):
    seconds, sha = 0.0, hashlib.sha256()
    for at in range(0, len(texts), BATCH):
        start = time.process_time()
        encodings = tokenizer.encode_batch_fast(texts[at:at + BATCH])
        seconds += time.process_time() - start
        for encoding in encodings:
            sha.update(struct.pack("<i", len(encoding.ids)) + array.array("i", encoding.ids).tobytes())
    return seconds, sha.hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("texts")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--texts", dest="limit", type=int)
    parser.add_argument("--bench", default="build/bench/tokenizer_speed")
    options = parser.parse_args()
    tokenizer = tokenizers.Tokenizer.from_file(options.directory + "/tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = read_texts(options.texts, options.limit)
    part = pathlib.Path("/tmp") / f"tokenizer_speed_{os.getpid()}.jsonl"
    part.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ours, theirs, equal = [], [], True
    try:
        for _ in range(options.turns):
            result = json.loads(subprocess.run([options.bench, options.directory, part, "5"], check=True,
                                               stdout=subprocess.PIPE).stdout)
            seconds, sha = run_reference(tokenizer, texts)
            ours.append(result["bytes"] / 1e6 / statistics.median(result["seconds"]))
            theirs.append(result["bytes"] / 1e6 / seconds)
            equal = equal and sha == result["sha256"]
    finally:
        part.unlink()
    ratios = [a / b for a, b in zip(ours, theirs)]
    print(f"{len(texts)} texts, {result['bytes'] / 1e6:.2f} MB, {result['tokens']} tokens; ids "
          + ("identical" if equal else "DIFFERENT"))
    for name, values, unit in (("rung", ours, "MB/s"), (f"tokenizers {tokenizers.__version__}", theirs, "MB/s"),
                               ("ratio", ratios, "")):
        print(f"{name:20} {statistics.median(values):8.2f} {unit:4} ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
