"""engines.py: one class a peer, each at its best for one text at a time: prepare(tokens) once, then run(). Called by worker.py.

`KINDS` names them as the tables do: class, file of models.py, options. Each says what it cannot do with `Unavailable`.
"""

import numpy

from machine import has_bf16


class Unavailable(Exception):
    """This engine cannot run here; the text says why."""


def inputs_of(ids):
    ids = numpy.asarray(ids, dtype=numpy.int64)
    return {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}


class OnnxRuntime:
    def __init__(self, directory, threads, file):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(directory / file), options, providers=["CPUExecutionProvider"])
        self.names = {put.name for put in self.session.get_inputs()}

    def prepare(self, ids):
        self.inputs = {name: value for name, value in inputs_of(ids).items() if name in self.names}

    def run(self):
        return self.session.run(None, self.inputs)[0]


class OpenVino:
    """A model compiled for the one shape: it is faster than a compiled model of any length."""

    def __init__(self, directory, threads, file, precision=None):
        import openvino

        self.core = openvino.Core()
        self.file = str(directory / file)
        self.config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        if precision is not None:
            if precision == "bf16" and not has_bf16():
                raise Unavailable("the processor has no bf16 arithmetic")
            self.config["INFERENCE_PRECISION_HINT"] = precision

    def prepare(self, ids):
        inputs = inputs_of(ids)
        model = self.core.read_model(self.file)
        model.reshape({put.any_name: list(inputs[put.any_name].shape) for put in model.inputs})
        self.compiled = self.core.compile_model(model, "CPU", self.config)
        self.request = self.compiled.create_infer_request()
        for put in model.inputs:
            self.request.get_tensor(put.any_name).data[:] = inputs[put.any_name]

    def run(self):
        self.request.infer()
        return self.request.get_output_tensor(0).data


class PyTorch:
    def __init__(self, directory, threads, dtype):
        import torch
        import transformers

        if dtype == "bfloat16" and not has_bf16():
            raise Unavailable("the processor has no bf16 arithmetic")
        torch.set_num_threads(threads)
        self.torch = torch
        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(
            directory / "hf", attn_implementation="sdpa", dtype=getattr(torch, dtype)
        ).eval()

    def prepare(self, ids):
        self.inputs = {name: self.torch.from_numpy(value) for name, value in inputs_of(ids).items()}

    def run(self):
        with self.torch.inference_mode():
            return self.model(**self.inputs).logits.float().numpy()


KINDS = {
    "openvino-int8": (OpenVino, {"file": "ov_int8.xml"}),
    "onnxruntime-int8": (OnnxRuntime, {"file": "ort_int8.onnx"}),
    "openvino-bf16": (OpenVino, {"file": "fp32.onnx", "precision": "bf16"}),
    "pytorch-bf16": (PyTorch, {"dtype": "bfloat16"}),
    "openvino-fp32": (OpenVino, {"file": "fp32.onnx", "precision": "f32"}),
    "onnxruntime-fp32": (OnnxRuntime, {"file": "ort_fp32.onnx"}),
    "pytorch-fp32": (PyTorch, {"dtype": "float32"}),
}
