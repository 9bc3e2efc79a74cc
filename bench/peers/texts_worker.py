"""texts_worker.py KIND DIR TEXTS THREADS LANES BATCH BUCKET: one peer on texts of mixed lengths, tokenization included. Started by texts.py.

LANES independent lanes share THREADS threads. Each lane takes the next texts until none is left, tokenizes them with Hugging Face's tokenizers, and
runs batches of BATCH padded to a multiple of BUCKET tokens; for batches it takes WINDOW texts at a time and puts texts of like length together.

    {"pass": n}  the first n texts once  -> {"s": seconds, "labels": [...]}
"""

import json
import pathlib
import sys
import threading
import time
import warnings

import numpy

from process import serve

WINDOW = 32
MAX_TOKENS = 512


def onnxruntime_lanes(path, threads, lanes):
    """One session a lane, each with its share of the threads."""
    import onnxruntime

    def lane():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads // lanes
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = {put.name for put in session.get_inputs()}
        return lambda inputs: session.run(None, {name: value for name, value in inputs.items() if name in names})[0]

    return [lane() for _ in range(lanes)]


def openvino_lanes(path, threads, lanes, precision=None):
    """One compiled model of any length, with a stream and a request for each lane."""
    import openvino

    config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": lanes}
    config["PERFORMANCE_HINT"] = "LATENCY" if lanes == 1 else "THROUGHPUT"
    if precision is not None:
        config["INFERENCE_PRECISION_HINT"] = precision
    compiled = openvino.Core().compile_model(str(path), "CPU", config)

    def lane():
        request = compiled.create_infer_request()
        return lambda inputs: request.infer(inputs, share_inputs=True)[0]

    return [lane() for _ in range(lanes)]


def pytorch_lanes(path, threads, lanes):
    import torch
    import transformers

    if lanes != 1:
        raise ValueError("PyTorch's threads serve one lane")
    torch.set_num_threads(threads)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(path, attn_implementation="sdpa", dtype=torch.float32).eval()

    def run(inputs):
        with torch.inference_mode():
            return model(**{name: torch.from_numpy(value) for name, value in inputs.items()}).logits.numpy()

    return [run]


def make_lanes(kind, directory, threads, lanes):
    if kind == "openvino-int8":
        return openvino_lanes(directory / "ov_int8.xml", threads, lanes)
    if kind == "openvino-fp32":
        return openvino_lanes(directory / "fp32.onnx", threads, lanes, "f32")
    if kind == "onnxruntime-int8":
        return onnxruntime_lanes(directory / "ort_int8.onnx", threads, lanes)
    if kind == "onnxruntime-fp32":
        return onnxruntime_lanes(directory / "ort_fp32.onnx", threads, lanes)
    if kind == "pytorch-fp32":
        return pytorch_lanes(directory / "hf", threads, lanes)
    raise ValueError(f"{kind} does not run texts")


def padded(rows, bucket):
    """Inputs of a batch, padded to a multiple of `bucket` tokens but at most what the model reads."""
    longest = max(map(len, rows))
    length = min(MAX_TOKENS, -(-longest // bucket) * bucket)
    ids = numpy.zeros((len(rows), length), dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}


class Texts:
    def __init__(self, kind, directory, path, threads, lanes, batch, bucket):
        import tokenizers

        self.lanes = make_lanes(kind, directory, threads, lanes)
        self.tokenizer = tokenizers.Tokenizer.from_file(str(directory / "hf/tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
        self.batch, self.bucket = batch, bucket
        self.lock = threading.Lock()

    def take(self, count):
        """The next texts: (first, after the last)."""
        with self.lock:
            first = self.next
            self.next = min(self.end, first + count)
            return first, self.next

    def work(self, run):
        window = 1 if self.batch == 1 else max(WINDOW, self.batch)
        while True:
            first, end = self.take(window)
            if first == end:
                return
            rows = [encoding.ids for encoding in self.tokenizer.encode_batch(self.texts[first:end])]
            order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
            for at in range(0, len(order), self.batch):
                chosen = order[at : at + self.batch]
                logits = run(padded([rows[i] for i in chosen], self.bucket))
                for i, label in zip(chosen, logits.argmax(axis=1)):
                    self.labels[first + i] = int(label)

    def run_pass(self, count):
        self.next, self.end = 0, min(count, len(self.texts))
        self.labels = [None] * self.end
        others = [threading.Thread(target=self.work, args=(run,)) for run in self.lanes[1:]]
        started = time.perf_counter()
        for thread in others:
            thread.start()
        self.work(self.lanes[0])
        for thread in others:
            thread.join()
        seconds = time.perf_counter() - started
        if None in self.labels:
            raise RuntimeError("a lane failed")
        return {"s": seconds, "labels": self.labels}


def make_engine():
    kind, directory, path = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    return Texts(kind, directory, path, *map(int, sys.argv[4:8]))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(make_engine, lambda engine, question: engine.run_pass(question["pass"]))
