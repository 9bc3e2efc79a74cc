"""texts.py: texts of mixed lengths on a trained model, tokenization included, every engine at its best. Called by run.py.

First each peer's variants (lanes, batch, padding) are tried on some texts; then the best of each takes turns with rung, whose batch is chosen the same
way. A pass over all texts that is not timed comes before those that are: OpenVINO prepares its kernels for each length that it meets.
"""

import json
import subprocess
import sys

import models
import report
from latency import quantiles
from machine import TREE
from process import EngineFailed, PeerProcess, has_option, run_json

sys.path.insert(0, str(TREE / "tools"))
import jsonl

# (lanes, texts a batch, padded to a multiple of tokens), for one thread and for more; "all": as many lanes as threads
VARIANTS = {
    "openvino": [(1, 1, 1), (1, 1, 32), (1, 4, 32), ("all", 1, 1), ("all", 1, 32), ("all", 4, 32)],
    "onnxruntime": [(1, 1, 1), (1, 4, 1), ("all", 1, 1), ("all", 4, 1)],
    "pytorch": [(1, 1, 1), (1, 8, 1)],
}
RUNG_BATCHES = (1, 4, 16)
PEERS = ("openvino-int8", "onnxruntime-int8", "openvino-fp32", "onnxruntime-fp32", "pytorch-fp32")


def variants_of(kind, threads):
    lanes = [(threads if lanes == "all" else lanes, batch, bucket) for lanes, batch, bucket in VARIANTS[kind.split("-")[0]]]
    return list(dict.fromkeys(lanes))


def name_of(variant):
    lanes, batch, bucket = variant
    text = f"{lanes} lane{'s' if lanes > 1 else ''}, batch {batch}"
    return text + (f", padded to {bucket}" if bucket > 1 else "")


class RungTexts:
    """`rung bench --data`, one timed pass at a time after its own untimed one."""

    def __init__(self, options, directory, path, precision, cores):
        if not has_option(options.rung, "bench", "--data"):
            raise EngineFailed("this rung has no bench --data")
        self.model = directory / ("rung.safetensors" if precision == "int8" else "hf")
        self.command = [options.rung, "bench", "-m", str(self.model), "--precision", precision, "--data", str(path), "--json"]
        self.command += ["--threads", str(len(cores)), "--repeats", "1"]
        self.cores, self.batch = cores, 1

    def speed(self, count):
        row = run_json([*self.command, "--rows", str(count), "--batch", str(self.batch)], self.cores)
        self.share, self.tokenizer_share = row["share"], row["tokenizer_share"]
        return row["texts_per_s"]


class PeerTexts(PeerProcess):
    def __init__(self, kind, directory, path, cores, variant):
        super().__init__("texts_worker.py", [kind, directory, path, len(cores), *variant], cores)

    def speed(self, count):
        answer = self.ask({"pass": count})
        self.labels = answer["labels"]
        return count / answer["s"]


def best_peer(kind, directory, path, cores, trial_count):
    """The variant that is fastest on a second pass over `trial_count` texts, and all speeds."""
    speeds = {}
    for variant in variants_of(kind, len(cores)):
        peer = PeerTexts(kind, directory, path, cores, variant)
        peer.speed(trial_count)
        speeds[variant] = max(peer.speed(trial_count) for _ in range(2))
        peer.close()
    return max(speeds, key=speeds.get), speeds


def best_batch(rung, trial_count):
    speeds = {}
    for rung.batch in RUNG_BATCHES:
        speeds[rung.batch] = rung.speed(trial_count)
    rung.batch = max(speeds, key=speeds.get)
    return speeds


def open_engines(options, directory, path, cores, count):
    """({name: engine}, {name: how it runs}, {name: why not}); the peers have done their first pass."""
    engines, variants, failed = {}, {}, {}
    trial_count = min(count, max(16, count // 4))
    for kind in options.engines:
        try:
            if kind.startswith("rung-"):
                engine = RungTexts(options, directory, path, kind.removeprefix("rung-"), cores)
                speeds = {f"batch {batch}": speed for batch, speed in best_batch(engine, trial_count).items()}
                variants[kind] = f"batch {engine.batch}"
            elif kind in PEERS:
                variant, speeds = best_peer(kind, directory, path, cores, trial_count)
                speeds = {name_of(tried): speed for tried, speed in speeds.items()}
                variants[kind] = name_of(variant)
                engine = PeerTexts(kind, directory, path, cores, variant)
                engine.speed(count)
            else:
                continue
            engines[kind] = engine
            print(f"tried {kind}: " + "; ".join(f"{name} {speed:.4g}" for name, speed in speeds.items()), file=sys.stderr)
        except EngineFailed as error:
            failed[kind] = str(error)
    return engines, variants, failed


def exact_labels(directory, path, cores, count):
    """Labels of ONNX Runtime in fp32, kept beside the texts: what the int8 engines are compared with."""
    kept = path.with_suffix(".labels.json")
    if not kept.exists():
        peer = PeerTexts("onnxruntime-fp32", directory, path, cores, (1, 1, 1))
        peer.speed(count)
        peer.close()
        kept.write_text(json.dumps(peer.labels))
    return json.loads(kept.read_text())


def rung_labels(options, directory, path, precision, cores):
    model = directory / ("rung.safetensors" if precision == "int8" else "hf")
    command = [options.rung, "classify", "-m", str(model), "--precision", precision, "--policy.exit.rule", "off", "--json"]
    with path.open() as file:
        done = subprocess.run([*command, "--threads", str(len(cores))], stdin=file, capture_output=True, text=True, check=True)
    names = [name for _, name in sorted(json.loads((directory / "hf/config.json").read_text())["id2label"].items())]
    return [names.index(json.loads(line)["label"]) for line in done.stdout.splitlines()]


def rows_of(key, speeds, variants, exact, labels, engines):
    rows = []
    for kind, values in speeds.items():
        row = {**key, "engine": kind, "variant": variants[kind], "rounds": len(values)}
        row["texts_per_s"], row["p10_texts_per_s"], row["p90_texts_per_s"] = quantiles(values)
        if "rung-int8" in speeds and kind != "rung-int8":
            row["rung_over"] = quantiles([own / value for value, own in zip(values, speeds["rung-int8"])])
        if kind in labels:
            row["label_agreement"] = sum(a == b for a, b in zip(exact, labels[kind])) / len(exact)
        if isinstance(engines[kind], RungTexts):
            row["share"], row["tokenizer_share"] = engines[kind].share, engines[kind].tokenizer_share
        rows.append(row)
    return rows


def measure(key, options, directory, path, cores, count, exact):
    engines, variants, failed = open_engines(options, directory, path, cores, count)
    speeds, labels = {kind: [] for kind in engines}, {}
    order = list(engines)
    try:
        for _ in range(options.passes):
            for kind in [kind for kind in order if kind in engines]:
                try:
                    speeds[kind].append(engines[kind].speed(count))
                except EngineFailed as error:
                    failed[kind] = str(error)
                    del engines[kind], speeds[kind]
            order = order[1:] + order[:1]
        for kind, engine in engines.items():
            is_rung = isinstance(engine, RungTexts)
            labels[kind] = rung_labels(options, directory, path, kind.removeprefix("rung-"), cores) if is_rung else engine.labels
    finally:
        for engine in engines.values():
            if isinstance(engine, PeerTexts):
                engine.close()
    rows = rows_of(key, speeds, variants, exact, labels, engines)
    return rows + [{**key, "engine": kind, "failed": why} for kind, why in failed.items()]


def prepare(options, cores):
    """(directory, file of the texts): the model's files, and every k-th text of the data."""
    import shapes

    directory = options.cache / ("texts-" + options.model.resolve().name)
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "hf").exists():
        (directory / "hf").symlink_to(options.model.resolve(), target_is_directory=True)
    config = json.loads((directory / "hf/config.json").read_text())
    shape = shapes.Shape(config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"], config["num_attention_heads"])
    texts = [row["text"] for row in jsonl.read(options.data)]
    step = max(1, len(texts) // options.texts)
    path = directory / f"texts-{options.texts}.jsonl"
    chosen = texts[::step][: options.texts]
    path.write_text("".join(json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(chosen)))
    others = texts[step // 2 :: step][: models.CALIBRATION_TEXTS] if step > 1 else chosen
    failed = models.make(directory, directory / "hf", shape, models.text_rows(directory / "hf", others), options.rung)
    for file, why in failed.items():
        print(f"{options.model.name}: no {file}: {why}", file=sys.stderr)
    return directory, path, len(chosen)


def run(options, cores, output):
    for given in (options.model, options.data):
        if not given.exists():
            print(f"{given}: not there: texts of mixed lengths are not measured", file=sys.stderr)
            return
    directory, path, count = prepare(options, cores)
    exact = exact_labels(directory, path, cores[: max(options.threads)], count)
    print(f"\n{count} texts of {options.data.name} with {options.model.name}:\n")
    print("\n".join(report.TEXTS_HEAD), flush=True)
    for threads in options.threads:
        key = {"what": "texts", "model": options.model.name, "texts": count, "threads": threads}
        wanted = [kind for kind in options.engines if kind.startswith("rung-") or kind in PEERS]
        if not output.done(key, wanted):
            output.add(measure(key, options, directory, path, cores[:threads], count, exact), report.texts_line)
