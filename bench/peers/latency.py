"""latency.py: one text at a time, the engines in turn. Called by run.py.

A round gives every engine a short burst, in an order that turns from round to round; a ratio is taken within a round, so that what the machine
does to one engine it does to its neighbour. A number of a round is the median of its burst. `least_ms`, the least 10 % of any burst, is
what is left where other processes take the processors from time to time.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

SETTLE_S = 0.03  # threads that spin after their last run have gone to sleep
WORKER = pathlib.Path(__file__).with_name("worker.py")


class EngineFailed(Exception):
    """An engine cannot run or has stopped; the text says why."""


class Peer:
    """A peer in its own process, pinned to `cores`."""

    def __init__(self, kind, directory, cores):
        self.kind = kind
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), kind, str(directory), str(len(cores))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            self.close()
            raise EngineFailed(answer["error"].splitlines()[0])
        return answer

    def ask(self, question):
        try:
            print(json.dumps(question), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # read() says that it ended
        return self.read()

    def prepare(self, ids):
        return self.ask({"prepare": ids})

    def burst(self, runs):
        """median and 10 % of the times, in ms"""
        return quantiles(self.ask({"burst": runs})["ms"])[:2]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Rung:
    """`rung bench` as a user runs it: it loads, warms up and times inside; only its own times count."""

    def __init__(self, program, precision, directory, cores):
        self.kind = "rung-" + precision
        model = directory / ("rung.safetensors" if precision == "int8" else "hf")
        self.command = [program, "bench", "-m", str(model), "--precision", precision, "--json"]
        self.cores = cores
        threads = str(len(cores))
        usage = subprocess.run([program, "bench", "--help"], capture_output=True, text=True).stdout
        if "--split" in usage:
            self.command += ["--threads", "1", "--split", threads]
        elif len(cores) == 1:
            self.command += ["--threads", "1"]
        else:
            raise EngineFailed("this rung runs one text on one thread")

    def bench(self, runs):
        done = subprocess.run(
            self.command + ["--tokens", str(self.tokens), "--repeats", str(runs)],
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, self.cores),
        )
        if done.returncode != 0:
            raise EngineFailed(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")
        return json.loads(done.stdout.splitlines()[-1])

    def prepare(self, ids):
        self.tokens = len(ids)
        row = self.bench(2)
        return {"run_s": row["median_ms"] / 1e3, "isa": row["isa"]}

    def burst(self, runs):
        row = self.bench(runs)
        self.peak_gops = row["peak_gops"]
        self.share = row["share"]
        return row["median_ms"], row["p10_ms"]

    def close(self):
        pass


def open_engines(kinds, rung, directory, cores):
    """({kind: engine}, {kind: why not})"""
    engines, failed = {}, {}
    for kind in kinds:
        try:
            if kind.startswith("rung-"):
                engines[kind] = Rung(rung, kind.removeprefix("rung-"), directory, cores)
            else:
                engines[kind] = Peer(kind, directory, cores)
        except EngineFailed as error:
            failed[kind] = str(error)
    return engines, failed


def quantiles(values):
    """median, 10 % and 90 % of a few values, interpolated"""
    values = sorted(values)

    def at(share):
        place = share * (len(values) - 1)
        low = int(place)
        high = min(low + 1, len(values) - 1)
        return values[low] + (place - low) * (values[high] - values[low])

    return [at(0.5), at(0.1), at(0.9)]


def prepare(engines, failed, ids, burst_s):
    """Runs of each engine's burst, and what it answered; engines that cannot go to `failed`."""
    runs, logits = {}, {}
    for kind in list(engines):
        try:
            answer = engines[kind].prepare(ids)
            runs[kind] = min(100, max(2, round(burst_s / answer["run_s"])))
            logits[kind] = answer.get("logits")
        except EngineFailed as error:
            failed[kind] = str(error)
            engines.pop(kind).close()
    return runs, logits


def rounds(engines, runs, count):
    """{kind: [(median, 10 %) of each round, in ms]}"""
    times = {kind: [] for kind in engines}
    order = list(engines)
    for _ in range(count):
        for kind in order:
            time.sleep(SETTLE_S)
            times[kind].append(engines[kind].burst(runs[kind]))
        order = order[1:] + order[:1]
    return times


def rows_of(key, times, runs, logits, engines):
    """One row an engine; a peer's with its ratios to rung."""
    rows = []
    medians = {kind: [median for median, _ in pairs] for kind, pairs in times.items()}
    for kind, values in medians.items():
        row = {**key, "engine": kind, "runs": runs[kind], "rounds": len(values)}
        row["ms"], row["p10_ms"], row["p90_ms"] = quantiles(values)
        row["least_ms"] = min(least for _, least in times[kind])
        for base in ("rung-int8", "rung-fp32"):
            if base in medians and not kind.startswith("rung-"):
                row["over_" + base] = quantiles([value / own for value, own in zip(values, medians[base])])
        exact = logits.get("onnxruntime-fp32") or logits.get("openvino-fp32")
        if exact and logits[kind]:
            row["logit_difference"] = max(abs(a - b) for a, b in zip(exact, logits[kind]))
        if isinstance(engines[kind], Rung):
            row["peak_gops"], row["share"] = engines[kind].peak_gops, engines[kind].share
        rows.append(row)
    return rows


def measure(key, kinds, options, directory, cores, token_counts, vocab_size, report):
    """All token counts of one shape and thread count; report(rows) after each."""
    import random

    engines, failed = open_engines(kinds, options.rung, directory, cores)
    generator = random.Random(1)
    try:
        for tokens in token_counts:
            ids = [generator.randrange(5, vocab_size) for _ in range(tokens)]
            runs, logits = prepare(engines, failed, ids, options.burst_s)
            times = rounds(engines, runs, options.rounds)
            report(rows_of({**key, "tokens": tokens}, times, runs, logits, engines))
        report([{**key, "engine": kind, "failed": why} for kind, why in failed.items()])
    finally:
        for engine in engines.values():
            engine.close()
