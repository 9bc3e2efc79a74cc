#!/usr/bin/env python3
"""Trains a level's model with all its exits jointly: docs/train.md.

    tools/train/train.py --model DIR --data FILE... -o DIR
    tools/train/train.py --model end --teacher edge --data train.jsonl.zst --dev dev.jsonl.zst -o end-trained
    tools/train/train.py --model end --data a.jsonl b.jsonl --teacher-outputs a.answers b.answers --hold-out 10 -o end-trained
    tools/train/train.py --model edge --data train.jsonl --prune-with end -o edge-trained

Needs what requirements.txt beside it names.
"""

import argparse
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import plan
import pruning
import records as data

import torch
import torch.nn.functional as F

import passes
from encoder import Encoder, ModelError

GRADIENT_NORM = 1.0
WEIGHT_DECAY = 0.01


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", required=True, metavar="DIR", help="Hugging Face directory to start from")
    add("-o", "--output", required=True, metavar="DIR", help="where the trained model goes; replaced when there")
    add("--data", required=True, nargs="+", metavar="FILE", help="JSON lines, .zst or not, with text and maybe label")
    add("--labels", metavar="A,B,...", help="names of a new task's labels in order; its heads start at random")
    add("--dev", metavar="FILE", help="texts to choose the best weights by")
    add("--hold-out", type=int, default=0, metavar="N", help="instead: every Nth row of the first FILE, never trained on")
    add("--teacher", metavar="DIR", help="model whose last exit is imitated: the level above")
    add("--teacher-outputs", nargs="+", metavar="FILE", help="the same from `rung classify --json`, one file for each of --data")
    add("--temperature", type=float, default=2.0, help="of the teacher's and the exits' probabilities (2)")
    add("--hard-weight", type=float, help="weight of true labels beside the teacher's, per text (0.2; 1 without a teacher)")
    add("--prune-with", metavar="DIR", help="model of the level below: texts are read as it would send them up")
    add("--prune-layers", type=int, default=2, metavar="N", help="its layers that make importance (2)")
    add("--prune-share", type=float, default=0.5, help="share of readings that are pruned (0.5)")
    add("--alpha", type=float, nargs=2, default=[0.0, 1.0], metavar=("LOW", "HIGH"), help="range of alpha (0 1)")
    add("--exit-weights", default="depth", help="depth, even or a number for each exit (depth)")
    add("--epochs", type=float, default=1.0)
    add("--batch-size", type=int, default=32)
    add("--lr", type=float, default=1e-4, help="peak of the learning rate (1e-4)")
    add("--max-tokens", type=int, help="of a text in training (the model's)")
    add("--long-from", type=float, default=1.0, help="part of the run after which texts have the model's length (1: never)")
    add("--crop", type=float, default=0.0, help="share of readings that are a random part of a text (0)")
    add("--dropout", type=float, default=0.1)
    add("--evaluate-every", type=float, default=0.25, metavar="EPOCHS")
    add("--precision", choices=["fp32", "bf16"], default="fp32")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    add("--threads", type=int, help="of a CPU (all)")
    add("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    if chosen.teacher and chosen.teacher_outputs:
        parser.error("--teacher and --teacher-outputs exclude each other")
    if chosen.teacher_outputs and len(chosen.teacher_outputs) != len(chosen.data):
        parser.error(f"{len(chosen.teacher_outputs)} --teacher-outputs for {len(chosen.data)} files of --data")
    if chosen.dev and chosen.hold_out:
        parser.error("--dev and --hold-out exclude each other")
    for name, least in [("epochs", 0), ("batch_size", 0), ("lr", 0), ("temperature", 0), ("evaluate_every", 0), ("prune_layers", 0)]:
        if not getattr(chosen, name) > least:
            parser.error(f"--{name.replace('_', '-')} {getattr(chosen, name)}: must be above {least}")
    for name in ("prune_share", "crop", "long_from"):
        if not 0 <= getattr(chosen, name) <= 1:
            parser.error(f"--{name.replace('_', '-')} {getattr(chosen, name)}: must be within [0, 1]")
    if not 0 <= chosen.dropout < 1:
        parser.error(f"--dropout {chosen.dropout}: must be at least 0 and below 1")
    if not 0 <= chosen.alpha[0] <= chosen.alpha[1]:
        parser.error(f"--alpha {chosen.alpha[0]} {chosen.alpha[1]}: LOW must be at least 0 and at most HIGH")
    if chosen.hold_out < 0 or (chosen.max_tokens is not None and chosen.max_tokens < 8):
        parser.error("--hold-out must not be negative, and --max-tokens must be at least 8")
    if chosen.hard_weight is None:
        chosen.hard_weight = 0.2 if chosen.teacher or chosen.teacher_outputs else 1.0
    return chosen


def load_texts(arguments, labels):
    """(records to learn from, records to choose by)."""
    outputs = arguments.teacher_outputs or [None] * len(arguments.data)
    files = [data.read_with_outputs(path, answers, labels) for path, answers in zip(arguments.data, outputs)]
    files[0], dev = data.split_hold_out(files[0], arguments.hold_out)
    if arguments.dev:
        dev = data.read_records(arguments.dev, labels)
    train = [record for records in files for record in records]
    if arguments.teacher:
        teacher = Encoder(arguments.teacher, device=arguments.device)
        if teacher.labels != labels:
            raise ModelError(f"{arguments.teacher}: labels {', '.join(teacher.labels)}, but the model has {', '.join(labels)}")
        reader = passes.Reader(arguments.teacher, teacher.max_tokens)
        passes.add_teacher(train + dev, teacher, reader, arguments.precision)
    train = data.usable(train)
    if not train:
        raise data.DataError("no text has a label or a teacher's answer")
    if arguments.prune_with:
        below = Encoder(arguments.prune_with, labels=labels, device=arguments.device)
        if arguments.prune_layers > below.num_layers:
            raise ModelError(f"--prune-layers {arguments.prune_layers}: {arguments.prune_with} has {below.num_layers}")
        passes.add_words(train, below, passes.Reader(arguments.prune_with, below.max_tokens), arguments.prune_layers)
    return train, dev


def pruned(record, alpha):
    """The record as the level below sends it up."""
    text, pair, average = record.words
    pair = None if pair is None else pruning.prune_text(pair, average, alpha)
    return data.Record(pruning.prune_text(text, average, alpha), pair, record.label, record.teacher)


class Loss:
    """What exits are blamed for: the distance to the teacher's probabilities at a temperature (times its square, so that
    gradients keep their size), and the true label's cross-entropy, weighted over the exits."""

    def __init__(self, weights, temperature, hard_weight, num_labels, device):
        self.weights = weights
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.num_labels = num_labels
        self.device = device

    def __call__(self, exits, records):
        """exits: [exits] of [texts, labels]."""
        labels = torch.tensor([-100 if r.label is None else r.label for r in records], device=self.device)
        none = [0.0] * self.num_labels
        teacher = torch.tensor([r.teacher or none for r in records], device=self.device) / self.temperature
        taught = torch.tensor([float(r.teacher is not None) for r in records], device=self.device)
        total = 0.0
        for weight, logits in zip(self.weights, exits):
            logits = logits.float()
            # The teacher's entropy is no matter of the exits: Kullback-Leibler, so that 0 is perfect.
            distance = F.kl_div(F.log_softmax(logits / self.temperature, -1), F.log_softmax(teacher, -1), log_target=True, reduction="none")
            soft = (distance.sum(-1) * taught).sum() * self.temperature**2
            hard = F.cross_entropy(logits, labels, reduction="sum", ignore_index=-100)
            total = total + weight * (soft + self.hard_weight * hard) / len(records)
        return total


class Run:
    """One training run."""

    def __init__(self, arguments, encoder, train, dev):
        self.arguments = arguments
        self.encoder = encoder
        self.train_records = train
        self.dev_records = dev
        self.random = random.Random(arguments.seed)
        self.reader = passes.Reader(arguments.model, encoder.max_tokens)
        self.readings = self.reader.read(train)
        self.weights = plan.exit_weights(arguments.exit_weights, encoder.num_layers)
        self.loss = Loss(self.weights, arguments.temperature, arguments.hard_weight, len(encoder.labels), arguments.device)
        self.steps = plan.num_steps(len(train), arguments.batch_size, arguments.epochs)
        matrices = [p for p in encoder.parameters() if p.dim() > 1]
        vectors = [p for p in encoder.parameters() if p.dim() == 1]
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=arguments.lr, betas=(0.9, 0.98), fused=True)
        self.best = None  # (score, snapshot, what was measured)

    def inputs(self, rows, long):
        """(records, [(ids, types)]) of a batch, read anew: pruned, cropped and cut as the options say."""
        arguments = self.arguments
        limit = self.reader.max_tokens if long else min(arguments.max_tokens or self.reader.max_tokens, self.reader.max_tokens)
        chosen = [self.train_records[i] for i in rows]
        readings = [self.readings[i] for i in rows]
        if arguments.prune_with:
            for i, record in enumerate(chosen):
                if self.random.random() < arguments.prune_share:
                    chosen[i] = pruned(record, self.random.uniform(*arguments.alpha))
                    readings[i] = self.reader.read([chosen[i]])[0]
        shorten = lambda ids, room: plan.shorten(ids, room, arguments.crop, self.random)
        return chosen, [passes.cut(reading, limit, shorten) for reading in readings]

    def step(self, rows, step):
        rate = plan.learning_rate(step, self.steps, self.arguments.lr)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        chosen, inputs = self.inputs(rows, step >= self.arguments.long_from * self.steps)
        with passes.autocast(self.arguments.device, self.arguments.precision):
            exits = self.encoder.logits(*passes.collate(inputs, self.arguments.device))
        loss = self.loss(exits, chosen)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.encoder.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        return loss.item()

    def evaluate(self, step, losses):
        """Prints where the run is, and keeps the weights when they are the best so far."""
        line = {"step": step, "steps": self.steps}
        if losses:
            line["loss"] = round(sum(losses) / len(losses), 4)
        if self.dev_records:
            line |= passes.measure(self.encoder, self.reader, self.dev_records, self.arguments.precision)
        print(json.dumps(line), flush=True)
        shares = line.get("agreement") or line.get("accuracy")
        score = sum(w * share for w, share in zip(self.weights, shares)) if shares else step
        if step > 0 and (self.best is None or score >= self.best[0]):
            self.best = (score, self.encoder.snapshot(), line)
            self.encoder.save(self.arguments.output, self.best[1])

    def train(self):
        every = max(1, round(len(self.train_records) / self.arguments.batch_size * self.arguments.evaluate_every))
        lengths = [len(reading.ids) for reading in self.readings]
        self.evaluate(0, [])
        step, losses = 0, []
        while step < self.steps:
            for rows in plan.batches(lengths, self.arguments.batch_size, self.random):
                self.encoder.training = True
                losses.append(self.step(rows, step))
                self.encoder.training = False
                step += 1
                if step == self.steps or step % every == 0:
                    self.evaluate(step, losses)
                    losses = []
                if step == self.steps:
                    break
        return self.best


def main():
    arguments = parse_arguments()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    labels = arguments.labels.split(",") if arguments.labels else None
    start = time.monotonic()
    try:
        encoder = Encoder(arguments.model, labels, arguments.seed, arguments.device, arguments.dropout)
        train, dev = load_texts(arguments, encoder.labels)
        print(f"{arguments.model}: {len(train)} texts to learn from, {len(dev)} to choose by", flush=True)
        _, _, line = Run(arguments, encoder, train, dev).train()
    except (ModelError, data.DataError, ValueError) as error:
        sys.exit(f"train.py: {error}")
    print(f"{arguments.output}: step {line['step']} of {line['steps']}, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
