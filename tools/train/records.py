"""Texts, labels and a teacher's outputs, as train.py reads them. Called by train.py; no torch.

Data are JSON lines with "text", and maybe "id", "text_pair" and "label". A teacher's outputs are what `rung classify
--json` printed for the same lines in the same order: an object with "probabilities" by label.
"""

import math
import os
import sys
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import jsonl

LEAST_PROBABILITY = 1e-7  # of a teacher: its logarithm is taken


class DataError(Exception):
    """What is wrong with which line of which file."""


@dataclass
class Record:
    """A text to learn from. A list of parts in `words` is filled in when texts are pruned: see pruning.py."""

    text: str
    pair: str | None = None
    label: int | None = None  # its place among the labels
    teacher: tuple | None = None  # logits [labels]
    words: list | None = None


def parse_record(row, labels, where):
    """The record of a line's object. `labels` are the names in order; a label may also be its number."""
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise DataError(f'{where}: no "text"')
    pair = row.get("text_pair")
    if pair is not None and not isinstance(pair, str):
        raise DataError(f'{where}: "text_pair" is no text')
    label = row.get("label")
    if isinstance(label, str):
        if label not in labels:
            raise DataError(f'{where}: label "{label}" is none of {", ".join(labels)}: say --labels for a new task')
        label = labels.index(label)
    elif label is not None and (isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(labels)):
        raise DataError(f"{where}: label {label} is not below the number of labels, {len(labels)}")
    return Record(row["text"], pair, label)


def read_records(path, labels, limit=None):
    records = [parse_record(row, labels, f"{path}:{i}") for i, row in enumerate(jsonl.read(path, limit), start=1)]
    if not records:
        raise DataError(f"{path}: no texts")
    return records


def parse_output(row, labels, where):
    """A teacher's logits, up to a constant: the logarithms of its probabilities."""
    probabilities = row.get("probabilities") if isinstance(row, dict) else None
    if not isinstance(probabilities, dict):
        raise DataError(f'{where}: no "probabilities": `rung classify --json` prints them')
    if sorted(probabilities) != sorted(labels):
        raise DataError(f"{where}: labels {', '.join(sorted(probabilities))} are not those of the model, {', '.join(labels)}")
    values = [probabilities[label] for label in labels]
    if not all(isinstance(value, (int, float)) and 0 <= value <= 1 for value in values):
        raise DataError(f"{where}: a probability is not within [0, 1]")
    return tuple(math.log(max(value, LEAST_PROBABILITY)) for value in values)


def add_outputs(records, path, labels, ids=None):
    """Gives every record the teacher's logits of its line. `ids`, when given, must be those of the lines."""
    count = 0
    for i, row in enumerate(jsonl.read(path)):
        where = f"{path}:{i + 1}"
        if i == len(records):
            raise DataError(f"{where}: more lines than the {len(records)} texts that it answers")
        if ids is not None and ids[i] is not None and row.get("id", ids[i]) != ids[i]:
            raise DataError(f'{where}: answers "{row.get("id")}", but the text of this line is "{ids[i]}"')
        records[i].teacher = parse_output(row, labels, where)
        count = i + 1
    if count < len(records):
        raise DataError(f"{path}: {count} lines for {len(records)} texts")


def read_with_outputs(path, outputs, labels):
    """The records of one file, with a teacher's logits when `outputs` names its answers."""
    records = read_records(path, labels)
    if outputs is not None:
        add_outputs(records, outputs, labels, [row.get("id") for row in jsonl.read(path)])
    return records


def split_hold_out(records, every):
    """(records to learn from, those held out): rows whose number from 0 is a multiple of `every` are held out."""
    if every <= 0:
        return list(records), []
    if every == 1:
        raise DataError("--hold-out 1 leaves nothing to learn from")
    return [record for i, record in enumerate(records) if i % every], list(records[::every])


def usable(records):
    """Those with a label or a teacher's answer."""
    return [record for record in records if record.label is not None or record.teacher is not None]
