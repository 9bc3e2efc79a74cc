#!/usr/bin/env python3
"""bench/peers/run.py [--quick]: rung beside ONNX Runtime, OpenVINO and PyTorch, in turn in one run, on the same pinned processors.

Makes a virtual environment and the models once, in build/peers, then measures. Rows are printed as Markdown as they are done; with
--json FILE they are added to FILE as JSON lines too, and rows that FILE already has for this commit are not measured again.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
ENGINES = ("rung-int8", "openvino-int8", "onnxruntime-int8", "openvino-bf16", "pytorch-bf16")
ENGINES_FP32 = ("rung-fp32", "openvino-fp32", "onnxruntime-fp32", "pytorch-fp32")
NEEDED = ("numpy", "tokenizers", "torch", "transformers")  # for the models; what else is missing is a row that says so
QUICK = {
    "shapes": ["bert-base", "minilm-l6"],
    "tokens": [16, 128, 512],
    "engines": ["rung-int8", "openvino-int8", "onnxruntime-int8"],
    "rounds": 5,
    "burst_s": 0.2,
    "texts": 120,
    "passes": 3,
}
FULL = {
    "shapes": ["bert-base", "minilm-l6", "minilm-l12", "bert-large", "bertweet"],
    "tokens": [16, 64, 128, 256, 512],
    "engines": [*ENGINES, *ENGINES_FP32],
    "rounds": 7,
    "burst_s": 0.5,
    "texts": 400,
    "passes": 5,
}


def names(text):
    return text.split(",")


def numbers(text):
    return [int(part) for part in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two shapes, three lengths, int8 only: some minutes")
    parser.add_argument("--what", type=names, default=["latency", "texts"], help="latency,texts")
    parser.add_argument("--shapes", type=names, help="of the latencies: " + ",".join(FULL["shapes"]))
    parser.add_argument("--tokens", type=numbers, help="lengths of a text")
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--engines", type=names, help=",".join(FULL["engines"]))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--burst-s", type=float, help="length of an engine's burst in a round")
    parser.add_argument("--texts", type=int, help="texts of the mixed lengths")
    parser.add_argument("--passes", type=int, help="timed passes over them")
    parser.add_argument("--model", type=pathlib.Path, default=TREE / "../shared/models/minilm-l6", help="a trained BERT classifier, for --what texts")
    parser.add_argument("--data", type=pathlib.Path, default=TREE / "../shared/data/imdb/test.jsonl.zst", help="its texts: JSON lines, .zst or not")
    parser.add_argument("--rung", default=str(TREE / "build/src/cli/rung"), help="the program (default build/src/cli/rung)")
    parser.add_argument("--cores", type=numbers, help="processors to pin to (default: one of each core)")
    parser.add_argument("--cache", type=pathlib.Path, default=TREE / "build/peers", help="where the environment and the models are kept")
    parser.add_argument("--json", type=pathlib.Path, help="JSON lines are added here")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def enter_environment(cache):
    """Runs this script again with the Python of the peers' environment, which is made when its requirements are new."""
    wanted = (HERE / "requirements.txt").read_bytes()
    environment = cache / ("venv-" + hashlib.sha256(wanted).hexdigest()[:12])
    python = environment / "bin/python"
    if pathlib.Path(sys.prefix).resolve() == environment.resolve():
        return
    if not (environment / "complete").exists():
        print(f"installing the peers into {environment} (about 6 GB)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*install, "-r", str(HERE / "requirements.txt")]).returncode != 0:
            for line in wanted.decode().splitlines():  # one by one: what cannot be had is a row that says so
                if line and not line.startswith("#"):
                    subprocess.run([*install, line])
        (environment / "complete").touch()
    os.execv(python, [str(python), str(pathlib.Path(__file__).resolve()), *sys.argv[1:]])


class Output:
    """Rows to stdout and to the JSON file, which also says what is done already."""

    def __init__(self, path, machine):
        self.path, self.machine, self.rows = path, machine, []
        if path is not None and path.exists():
            kept = [json.loads(line) for line in path.read_text().splitlines()]
            self.rows = [row for row in kept if row["commit"] == machine["commit"] and row["rung"] == machine["rung"]]

    def done(self, key, engines):
        """Whether the file has every engine of this key, but for those that this machine cannot run; one that failed is tried again."""
        found = {row["engine"] for row in self.rows if key.items() <= row.items() and "failed" not in row}
        never = {row["engine"] for row in self.rows if row.get("failed", "").startswith("Unavailable")}
        return set(engines) <= found | never

    def add(self, rows, line):
        self.rows += rows
        for row in rows:
            print(line(row), flush=True)
        if self.path is not None:
            with self.path.open("a") as file:
                for row in rows:
                    row = {**row, "commit": self.machine["commit"], "rung": self.machine["rung"], "cpu": self.machine["cpu"], "time": round(time.time())}
                    file.write(json.dumps(row) + "\n")


def run_latency(options, cores, output):
    import latency
    import models
    import report
    import shapes

    print("\n".join(["", *report.LATENCY_HEAD]), flush=True)

    def add(rows):
        output.add(rows, report.latency_line)

    for name in options.shapes:
        shape = shapes.SHAPES[name]
        directory = options.cache / name
        source = directory / "hf"
        if not (source / "tokenizer_config.json").exists():
            source.mkdir(parents=True, exist_ok=True)
            shapes.write_random_model(shape, source)
        failed = models.make(directory, source, shape, models.random_rows(shape, models.CALIBRATION_TEXTS), options.rung)
        for file, why in failed.items():
            print(f"{name}: no {file}: {why}", file=sys.stderr)
        for threads in options.threads:
            key = {"what": "latency", "shape": name, "threads": threads}
            lengths = [n for n in options.tokens if n <= shape.max_tokens]
            lengths = [n for n in lengths if not output.done({**key, "tokens": n}, options.engines)]
            if lengths:
                latency.measure(key, options.engines, options, directory, cores[:threads], lengths, shape.vocab_size, add)
    print("\n".join(["", *report.compact([row for row in output.rows if row["what"] == "latency"])]), flush=True)


def main():
    options = parse()
    enter_environment(options.cache)
    import machine
    import report

    if not os.access(options.rung, os.X_OK):
        sys.exit(f"{options.rung}: no program: build it, or say where with --rung")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"{', '.join(missing)}: not installed, and models cannot be made without: remove {sys.prefix} and run again with PyPI in reach")
    cores = options.cores or machine.whole_cores()
    if max(options.threads) > len(cores):
        sys.exit(f"--threads {max(options.threads)}: {len(cores)} cores are there: say others with --threads or --cores")
    description = machine.describe(cores[: max(options.threads)], options.rung)
    output = Output(options.json, description)
    print("\n".join(report.machine_lines(description)), flush=True)
    if "latency" in options.what:
        run_latency(options, cores, output)
    if "texts" in options.what:
        import texts

        texts.run(options, cores, output)


if __name__ == "__main__":
    main()
