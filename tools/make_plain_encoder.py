#!/usr/bin/env python3
"""make_plain_encoder.py DIR OUT: copies a BERT classifier's Hugging Face directory without classifier, pooler and exits, as a plain encoder
("BertModel"), to try `rung fit --heads` on. Python's standard library only."""

import json
import pathlib
import shutil
import struct
import sys

DROPPED = ("classifier.", "bert.pooler.", "pooler.")
LABEL_KEYS = ("id2label", "label2id", "num_labels", "problem_type")


def strip_weights(source, target):
    data = source.read_bytes()
    (header_bytes,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + header_bytes])
    body = data[8 + header_bytes :]
    kept = {}
    parts = []
    offset = 0
    for name, tensor in sorted(
        ((n, t) for n, t in header.items() if n != "__metadata__"), key=lambda item: item[1]["data_offsets"]
    ):
        if name.startswith(DROPPED):
            continue
        begin, end = tensor["data_offsets"]
        kept[name] = {**tensor, "data_offsets": [offset, offset + end - begin]}
        parts.append(body[begin:end])
        offset += end - begin
    text = json.dumps(kept, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = map(pathlib.Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    strip_weights(source / "model.safetensors", target / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    config = {key: value for key, value in config.items() if key not in LABEL_KEYS}
    config["architectures"] = ["BertModel"]
    (target / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, target / name)


if __name__ == "__main__":
    main()
