"""latency.py: one text at a time, the engines in turn. Called by run.py.

A round gives every engine a short burst, in an order that turns from round to round; a ratio is taken within a round, so that what the machine
does to one engine it does to its neighbour. A number of a round is the median of its burst. `least_ms`, the least 10 % of any burst, is
what is left where other processes take the processors from time to time.
"""

import random
import time

from process import EngineFailed, PeerProcess, has_option, run_json

SLOW_RUN_S = 0.5  # one run of such an engine is a burst
MOST_RUNS = 100
SETTLE_S = 0.03  # threads that spin after their last run have gone to sleep


class Peer(PeerProcess):
    """A peer in its own process, pinned to `cores`."""

    def __init__(self, kind, directory, cores):
        super().__init__("worker.py", [kind, directory, len(cores)], cores)

    def prepare(self, ids):
        return self.ask({"prepare": ids})

    def burst(self, runs):
        """median and 10 % of the times, in ms"""
        return quantiles(self.ask({"burst": runs})["ms"])[:2]


class Rung:
    """`rung bench` as a user runs it: it loads, warms up and times inside; only its own times count."""

    def __init__(self, program, precision, directory, cores):
        model = directory / ("rung.safetensors" if precision == "int8" else "hf")
        self.command = [program, "bench", "-m", str(model), "--precision", precision, "--json"]
        self.cores = cores
        self.command += ["--threads", str(len(cores))]
        if len(cores) > 1:
            if not has_option(program, "bench", "--split"):
                raise EngineFailed("this rung runs one text on one thread")
            self.command.append("--split")

    def bench(self, runs):
        return run_json([*self.command, "--tokens", str(self.tokens), "--repeats", str(runs)], self.cores)

    def prepare(self, ids):
        self.tokens = len(ids)
        self.peaks, self.shares = [], []
        row = self.bench(2)
        self.isa = row["isa"]
        return {"run_s": row["median_ms"] / 1e3}

    def burst(self, runs):
        row = self.bench(runs)
        self.peaks.append(row["peak_gops"])
        self.shares.append(row["share"])
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
            least = 1 if answer["run_s"] > SLOW_RUN_S else 2
            runs[kind] = min(MOST_RUNS, max(least, round(burst_s / answer["run_s"])))
            logits[kind] = answer.get("logits")
        except EngineFailed as error:
            failed[kind] = str(error)
            engines.pop(kind).close()
    return runs, logits


def rounds(engines, failed, runs, count):
    """{kind: [(median, 10 %) of each round, in ms]}; an engine that stops goes to `failed`"""
    times = {kind: [] for kind in engines}
    order = list(engines)
    for _ in range(count):
        for kind in [kind for kind in order if kind in engines]:
            time.sleep(SETTLE_S)
            try:
                times[kind].append(engines[kind].burst(runs[kind]))
            except EngineFailed as error:
                failed[kind] = str(error)
                engines.pop(kind).close()
                del times[kind]
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
            row["isa"] = engines[kind].isa
            row["peak_gops"], row["share"] = quantiles(engines[kind].peaks)[0], quantiles(engines[kind].shares)[0]
        rows.append(row)
    return rows


def measure(key, kinds, options, directory, cores, token_counts, vocab_size, report):
    """All token counts of one shape and thread count; report(rows) after each."""
    engines, failed = open_engines(kinds, options.rung, directory, cores)
    generator = random.Random(1)
    try:
        for tokens in token_counts:
            ids = [generator.randrange(5, vocab_size) for _ in range(tokens)]
            runs, logits = prepare(engines, failed, ids, options.burst_s)
            times = rounds(engines, failed, runs, options.rounds)
            report(rows_of({**key, "tokens": tokens}, times, runs, logits, engines))
        report([{**key, "engine": kind, "failed": why} for kind, why in failed.items()])
    finally:
        for engine in engines.values():
            engine.close()
