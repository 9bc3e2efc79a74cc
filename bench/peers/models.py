"""models.py: makes what each peer loads from one Hugging Face directory, once, in a cache folder. Called by run.py.

    DIR/fp32.onnx        PyTorch's TorchScript exporter, opset 17, dynamic batch and length
    DIR/ort_fp32.onnx    after ONNX Runtime's transformer optimiser (fused attention, GELU, skip + LayerNorm)
    DIR/ort_int8.onnx    then quantize_dynamic, one scale for each output channel
    DIR/ov_int8.xml      OpenVINO's model of fp32.onnx, quantised by NNCF for transformers
    DIR/rung.safetensors `rung quantize`

A file is made beside its place and renamed, so that a run that was cut leaves nothing half made.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import warnings

from machine import has_vnni

CALIBRATION_TEXTS = 32
OPSET = 17


def target(path, make):
    """Makes a file unless it is there; `make` writes to the path that it is given."""
    if not path.exists():
        part = path.with_name("part_" + path.name)
        make(part)
        part.rename(path)
        for extra in path.parent.glob(part.name + "*"):  # weights of ONNX files over 2 GB lie beside them
            extra.rename(path.with_name(extra.name.removeprefix("part_")))
    return path


def export_onnx(source, path):
    import torch
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        source, attn_implementation="eager", dtype=torch.float32
    ).eval()

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits

    ids = torch.randint(5, 1000, (1, 16))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        Logits(),
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        str(path),
        input_names=names,
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in names} | {"logits": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )


def optimise_for_ort(source, shape, path):
    from onnxruntime.transformers import optimizer

    model = optimizer.optimize_model(str(source), model_type="bert", num_heads=shape.num_heads, hidden_size=shape.hidden_size)
    fused = model.get_fused_operator_statistics()
    if fused.get("Attention", 0) != shape.num_layers:
        raise RuntimeError(f"ONNX Runtime's optimiser fused {fused.get('Attention', 0)} of {shape.num_layers} attentions: {fused}")
    model.save_model_to_file(str(path))


def quantise_for_ort(source, path):
    """Without VNNI the kernels add pairs of products in 16 bits: 7-bit weights keep them from saturating."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(source),
        str(path),
        per_channel=True,
        reduce_range=not has_vnni(),
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def quantise_for_openvino(source, id_rows, path):
    import nncf
    import numpy
    import openvino

    model = openvino.Core().read_model(str(source))
    rows = [numpy.asarray([row], dtype=numpy.int64) for row in id_rows]
    inputs = [
        {"input_ids": row, "attention_mask": numpy.ones_like(row), "token_type_ids": numpy.zeros_like(row)} for row in rows
    ]
    overflow = nncf.OverflowFix.DISABLE if has_vnni() else nncf.OverflowFix.ENABLE
    quantised = nncf.quantize(
        model,
        nncf.Dataset(inputs),
        subset_size=len(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow),
    )
    openvino.save_model(quantised, str(path), compress_to_fp16=False)
    path.with_suffix(".bin").rename(path.with_name(path.name.removeprefix("part_")).with_suffix(".bin"))


def pack_for_rung(rung, source, path):
    """Anew when the program is newer: the packed format belongs to it."""
    if path.exists() and path.stat().st_mtime < os.path.getmtime(rung):
        path.unlink()
    return target(path, lambda part: subprocess.run([rung, "quantize", str(source), "-o", str(part)], check=True))


def random_rows(shape, count):
    import numpy

    generator = numpy.random.default_rng(1)
    return [generator.integers(5, shape.vocab_size, 32 + 8 * (i % 8)).tolist() for i in range(count)]


def text_rows(source, texts):
    """Ids of texts, as the model sees them."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_truncation(256)  # enough to calibrate with, and it takes half the time
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


@contextlib.contextmanager
def quiet_stdout():
    """Tools that print how far they are do it on stderr: stdout is the table's."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def make(directory, source, shape, calibration, rung):
    """Everything from `source`; returns {name: reason} of what could not be made."""
    directory = pathlib.Path(directory)
    steps = {
        "fp32.onnx": lambda part: export_onnx(source, part),
        "ort_fp32.onnx": lambda part: optimise_for_ort(directory / "fp32.onnx", shape, part),
        "ort_int8.onnx": lambda part: quantise_for_ort(directory / "ort_fp32.onnx", part),
        "ov_int8.xml": lambda part: quantise_for_openvino(directory / "fp32.onnx", calibration, part),
    }
    failed = {}
    for name, step in steps.items():
        try:
            with quiet_stdout():
                target(directory / name, step)
        except Exception as error:  # any peer's own exception: the others still run
            failed[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    with quiet_stdout():
        pack_for_rung(rung, source, directory / "rung.safetensors")
    return failed
