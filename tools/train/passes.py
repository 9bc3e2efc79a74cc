"""From texts to token ids and batches, and passes over texts that do not train. Called by train.py.

A text is a Reading: its token ids between the special tokens of the tokenizer's template.
"""

import contextlib
import os
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from encoder import ModelError
from pruning import word_importances


@dataclass
class Reading:
    """ids, types: of all tokens. head, tail: how many special ones stand before and after a text; None for a pair, which
    is never cut again."""

    ids: list
    types: list
    head: int | None
    tail: int | None


class Reader:
    """The tokenizer of a directory, cutting to max_tokens (the longer of a pair first, on the right)."""

    def __init__(self, directory, max_tokens):
        path = os.path.join(directory, "tokenizer.json")
        if not os.path.exists(path):
            raise ModelError(f"{path}: no such file: save the tokenizer with transformers' save_pretrained first")
        self.tokenizer = Tokenizer.from_file(path)
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.max_tokens = max_tokens

    def encode(self, records, whole=False):
        """Encodings as the tokenizers library gives them; `whole` leaves single texts uncut."""
        if not whole or any(record.pair is not None for record in records):
            self.tokenizer.enable_truncation(self.max_tokens, strategy="longest_first")
        inputs = [record.text if record.pair is None else (record.text, record.pair) for record in records]
        encodings = self.tokenizer.encode_batch(inputs)
        self.tokenizer.no_truncation()
        return encodings

    def read(self, records):
        out = []
        for record, encoding in zip(records, self.encode(records, whole=True)):
            special = encoding.special_tokens_mask
            head = tail = None
            if record.pair is None:
                head = special.index(0) if 0 in special else len(special) - 1
                tail = special[::-1].index(0) if 0 in special else 1
            out.append(Reading(encoding.ids, encoding.type_ids, head, tail))
        return out


def cut(reading, max_tokens, shorten):
    """(ids, types) of at most max_tokens: shorten(own ids, room) chooses what is read of a single text."""
    if reading.head is None:
        return reading.ids[:max_tokens], reading.types[:max_tokens]
    end = len(reading.ids) - reading.tail
    own = shorten(reading.ids[reading.head : end], max_tokens - reading.head - reading.tail)
    ids = reading.ids[: reading.head] + own + reading.ids[end:]
    return ids, reading.types[:1] * len(ids)


def first_tokens(ids, room):
    return ids[:room]


def collate(inputs, device):
    """(ids, types, mask), each [texts, tokens], of a list of (ids, types). mask is None when nothing is padded."""
    longest = max(len(ids) for ids, _ in inputs)
    ids = torch.zeros(len(inputs), longest, dtype=torch.long)
    types = torch.zeros_like(ids)
    mask = torch.zeros(len(inputs), longest, dtype=torch.bool)
    for row, (row_ids, row_types) in enumerate(inputs):
        ids[row, : len(row_ids)] = torch.tensor(row_ids)
        types[row, : len(row_types)] = torch.tensor(row_types)
        mask[row, : len(row_ids)] = True
    return ids.to(device), types.to(device), None if bool(mask.all()) else mask.to(device)


def autocast(device, precision):
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


@torch.no_grad()
def predict(encoder, reader, records, precision="fp32", batch_size=32):
    """Logits of every exit, [texts, exits, labels]."""
    readings = reader.read(records)
    order = sorted(range(len(records)), key=lambda i: len(readings[i].ids))
    out = torch.zeros(len(records), encoder.num_layers, len(encoder.labels))
    was_training, encoder.training = encoder.training, False
    for begin in range(0, len(order), batch_size):
        rows = order[begin : begin + batch_size]
        inputs = collate([cut(readings[i], reader.max_tokens, first_tokens) for i in rows], encoder.device)
        with autocast(encoder.device, precision):
            out[rows] = torch.stack([logits.float() for logits in encoder.logits(*inputs)], 1).cpu()
    encoder.training = was_training
    return out


def add_teacher(records, encoder, reader, precision):
    """Gives every record the logits of the teacher's last exit."""
    for record, logits in zip(records, predict(encoder, reader, records, precision)[:, -1].tolist()):
        record.teacher = tuple(logits)


def add_words(records, encoder, reader, num_layers, batch_size=16):
    """Gives every record what pruning needs: (words of the text, words of the pair, the average importance), by the
    attention of the first num_layers layers of the level below."""
    order = sorted(range(len(records)), key=lambda i: len(records[i].text))
    for begin in range(0, len(order), batch_size):
        chosen = [records[i] for i in order[begin : begin + batch_size]]
        encodings = reader.encode(chosen)
        ids, types, mask = collate([(encoding.ids, encoding.type_ids) for encoding in encodings], encoder.device)
        mask = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        importance = encoder.importance(ids, types, mask, num_layers).cpu().tolist()
        for record, encoding, row in zip(chosen, encodings, importance):
            own = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
            average = sum(row[i] for i in own) / max(1, len(own))
            sides = []
            for side, text in enumerate([record.text, record.pair]):
                tokens = [i for i in own if encoding.sequence_ids[i] == side]
                offsets, values = [encoding.offsets[i] for i in tokens], [row[i] for i in tokens]
                sides.append(None if text is None else word_importances(text, offsets, values))
            record.words = [*sides, average]


def measure(encoder, reader, records, precision="fp32"):
    """Shares by exit, from 0 to 1: `accuracy` of the records with a label, `agreement` with the teacher of those with its
    answer. A list is absent when no record has what it needs."""
    chosen = predict(encoder, reader, records, precision).argmax(-1)
    wanted = {
        "accuracy": [record.label for record in records],
        "agreement": [None if r.teacher is None else max(range(len(r.teacher)), key=r.teacher.__getitem__) for r in records],
    }
    out = {}
    for name, truths in wanted.items():
        rows = [i for i, truth in enumerate(truths) if truth is not None]
        if rows:
            right = chosen[rows] == torch.tensor([truths[i] for i in rows])[:, None]
            out[name] = [round(share, 4) for share in right.float().mean(0).tolist()]
    return out
