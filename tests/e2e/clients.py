#!/usr/bin/env python3
"""clients.py RUNG [CASE...]: a node through the clients of its APIs as PyPI has them, and its answers against the document at /openapi.json. Makes a
virtual environment under build/. Prints cases as cmocka does; ends with 77 when there is no package index."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from nodes_lib import ROOT, Node, check, review_lines, run_cases

VENV = os.path.join(ROOT, "build", "venv-clients")
WANTED = ("huggingface_hub", "jsonschema", "openai", "openapi-spec-validator", "tritonclient")
SKIPPED = 77


def make_venv():
    """Whether the environment is there, with the versions of requirements.txt."""
    with open(os.path.join(HERE, "requirements.txt"), encoding="utf-8") as file:
        packages = [line.strip() for line in file if re.split(r"[\[=]", line)[0] in WANTED]
    mark = os.path.join(VENV, "installed")
    if os.path.exists(mark):
        with open(mark, encoding="utf-8") as file:
            if file.read() == "\n".join(packages):
                return True
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    done = subprocess.run([os.path.join(VENV, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace")[-2000:])
        return False
    with open(mark, "w", encoding="utf-8") as file:
        file.write("\n".join(packages))
    return True


if __name__ == "__main__" and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
    if not make_venv():
        sys.exit(SKIPPED)
    os.execv(os.path.join(VENV, "bin", "python"), [os.path.join(VENV, "bin", "python"), *sys.argv])

import huggingface_hub
import numpy
import openai
import openapi_spec_validator
import referencing
import referencing.jsonschema
import jsonschema
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

RUNG = os.path.realpath(sys.argv[1])
TINY = os.path.join(ROOT, "tests", "golden", "tiny-bert")
TEXTS = ["a warm film", "no, nothing of it is true", "Ein Satz, der nicht englisch ist: ährlich?"]
LONG = "a long review " * 400
MODEL = "level1"


@contextlib.contextmanager
def serving(*arguments):
    node = Node(RUNG, list(arguments) or ["-m", TINY])
    try:
        yield node
    finally:
        code = node.stop()
    check(code == 0, "exit code", code, node.stderr()[-2000:])


def own(node, body):
    """The node's own answers: what the other APIs must say, too."""
    status, answer = node.classify(body)
    check(status == 200, status, answer)
    return json.loads(answer)


def close(a, b):
    return abs(a - b) < 1e-6


def raised(kind, function, *arguments, **named):
    """The exception of this kind that the call must raise."""
    try:
        result = function(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised; result: {result}")


def says(error, *texts):
    for text in texts:
        check(str(text).lower() in str(error).lower(), repr(str(error)), "does not say", repr(text))


# Triton's client of the Open Inference Protocol.


@contextlib.contextmanager
def triton_client(node):
    client = triton.InferenceServerClient(node.url.removeprefix("http://"), concurrency=4)
    try:
        yield client
    finally:
        client.close()


def tensor(texts, binary=True, name="text", shape=None):
    values = numpy.array([t.encode() for t in texts], dtype=numpy.object_).reshape(shape or [len(texts)])
    made = triton.InferInput(name, list(values.shape), "BYTES")
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def check_infer(result, answers, labels):
    probabilities = result.as_numpy("probabilities")
    check(probabilities.shape == (len(answers), len(labels)) and probabilities.dtype == numpy.float32, probabilities)
    for i, answer in enumerate(answers):
        for c, label in enumerate(labels):
            check(close(probabilities[i][c], answer["probabilities"][label]), i, label, probabilities[i], answer)
        check(result.as_numpy("label")[i] in (answer["label"].encode(), answer["label"]), result.as_numpy("label"), answer)
        check(result.as_numpy("level")[i] == answer["level"], result.as_numpy("level"))
        check(close(result.as_numpy("confidence")[i], answer["levels"][-1]["confidence"]), result.as_numpy("confidence"), answer)
    check(result.as_numpy("level").dtype == numpy.int32 and result.as_numpy("confidence").dtype == numpy.float32, "types")


def labels_of(node):
    return json.loads(node.get("/v1/level")[1])["model"]["labels"]


def triton_asks_for_state():
    with serving() as node, triton_client(node) as client:
        check(client.is_server_live() and client.is_server_ready(), "not ready")
        check(client.is_model_ready(MODEL) and client.is_model_ready(MODEL, "1"), "the model is not ready")
        check(not client.is_model_ready("another") and not client.is_model_ready(MODEL, "7"), "another model is ready")
        server = client.get_server_metadata()
        check(server["name"] and server["version"] and "binary_tensor_data" in server["extensions"], server)
        model = client.get_model_metadata(MODEL)
        check(model["name"] == MODEL and model["versions"] == ["1"], model)
        check(model["inputs"][0]["datatype"] == "BYTES" and model["inputs"][0]["shape"] in ([-1], [-1, 1]), model)
        check({o["name"]: o["datatype"] for o in model["outputs"]} ==
              {"probabilities": "FP32", "label": "BYTES", "level": "INT32", "confidence": "FP32"}, model)
        says(raised(InferenceServerException, client.get_model_metadata, "another"), MODEL)
        raised(InferenceServerException, client.get_model_repository_index)
        raised(InferenceServerException, client.get_model_config, MODEL)


def triton_infers():
    with serving() as node, triton_client(node) as client:
        labels = labels_of(node)
        answers = own(node, {"inputs": TEXTS})
        for binary in (True, False):
            for count in (1, len(TEXTS)):
                for shape in ([count], [count, 1]):
                    check_infer(client.infer(MODEL, [tensor(TEXTS[:count], binary, shape=shape)]), answers[:count], labels)
        check_infer(client.infer(MODEL, [tensor(TEXTS)], model_version="1", request_id="one"), answers, labels)
        check_infer(client.infer(MODEL, [tensor(TEXTS, name="any_name")]), answers, labels)
        check_infer(client.infer(MODEL, [tensor([LONG])]), [own(node, {"text": LONG})], labels)


def triton_infers_pairs():
    with serving() as node, triton_client(node) as client:
        answers = own(node, {"inputs": [{"text": t, "text_pair": "a film"} for t in TEXTS]})
        for binary in (True, False):
            pair = [tensor(TEXTS, binary), tensor(["a film"] * len(TEXTS), binary, "text_pair")]
            check_infer(client.infer(MODEL, pair), answers, labels_of(node))
            error = raised(InferenceServerException, client.infer, MODEL, [tensor(TEXTS, binary), tensor(["a film"], binary, "text_pair")])
            says(error, "shape")


def triton_chooses_outputs():
    with serving() as node, triton_client(node) as client:
        for binary in (True, False):
            outputs = [triton.InferRequestedOutput("label", binary_data=binary), triton.InferRequestedOutput("confidence", binary_data=not binary)]
            result = client.infer(MODEL, [tensor(TEXTS)], outputs=outputs, request_id="request 7")
            response = result.get_response()
            check([o["name"] for o in response["outputs"]] == ["label", "confidence"], response)
            check(response["id"] == "request 7" and response["model_name"] == MODEL and response["model_version"] == "1", response)
            check(result.as_numpy("label").shape == (len(TEXTS),) and result.as_numpy("confidence").shape == (len(TEXTS),), response)
            check(result.as_numpy("probabilities") is None, "an output that was not asked for")


def triton_infers_asynchronously():
    with serving() as node, triton_client(node) as client:
        answers = own(node, {"inputs": TEXTS})
        asked = [(i % len(TEXTS), client.async_infer(MODEL, [tensor([TEXTS[i % len(TEXTS)]])], request_id=str(i))) for i in range(40)]
        for i, (which, handle) in enumerate(asked):
            result = handle.get_result()
            check(result.get_response()["id"] == str(i), i)
            check_infer(result, [answers[which]], labels_of(node))


def triton_is_told_what_is_wrong():
    with serving("-m", TINY, "--limits.inputs", "3") as node, triton_client(node) as client:
        says(raised(InferenceServerException, client.infer, "another", [tensor(["a"])]), "model", MODEL)
        says(raised(InferenceServerException, client.infer, MODEL, [tensor(["a"])], model_version="7"), "version")
        output = triton.InferRequestedOutput("colour")
        says(raised(InferenceServerException, client.infer, MODEL, [tensor(["a"])], outputs=[output]), "colour")
        numbers = triton.InferInput("text", [1], "FP32")
        numbers.set_data_from_numpy(numpy.array([1], dtype=numpy.float32))
        says(raised(InferenceServerException, client.infer, MODEL, [numbers]), "BYTES")
        says(raised(InferenceServerException, client.infer, MODEL, [tensor(["a"] * 4)]), "3")
        says(raised(InferenceServerException, client.infer, MODEL, [tensor([""])]), "empty")
        three = [tensor(["a"], name=name) for name in ("a", "b", "c")]
        raised(InferenceServerException, client.infer, MODEL, three)
        says(raised(InferenceServerException, client.infer, MODEL, [tensor(["a"])], request_compression_algorithm="gzip"), "gzip")
        check(client.infer(MODEL, [tensor(["a"])], response_compression_algorithm="gzip").as_numpy("label") is not None, "gzip is a wish")


# huggingface_hub, for Text Embeddings Inference.


def hugging_face_classifies():
    with serving() as node:
        client = huggingface_hub.InferenceClient(model=node.url)
        for text in (*TEXTS, LONG):
            expected = own(node, {"text": text})["probabilities"]
            found = client.text_classification(text)
            check([e.score for e in found] == sorted((e.score for e in found), reverse=True), found)
            check({e.label for e in found} == set(expected) and all(close(e.score, expected[e.label]) for e in found), found, expected)
            check(huggingface_hub.InferenceClient().text_classification(text, model=node.url + "/predict") == found, "by its path")
        best = client.text_classification(TEXTS[0], top_k=1)
        check(len(best) == 1 and best[0] == client.text_classification(TEXTS[0])[0], best)
        check(len(client.text_classification(TEXTS[0], top_k=100)) == len(expected), "more than there are")
        softmax = client.text_classification(TEXTS[0], function_to_apply="softmax")
        check(close(sum(e.score for e in softmax), 1), softmax)
        raw = client.text_classification(TEXTS[0], function_to_apply="none")
        check([e.label for e in raw] == [e.label for e in softmax] and all(e.score <= 0 for e in raw), raw)
        pair = own(node, {"text": "a film", "text_pair": "a warm film"})["probabilities"]
        check(all(close(e.score, pair[e.label]) for e in client.text_classification(["a film", "a warm film"])), "a list of two is one pair")
        error = raised(huggingface_hub.errors.HfHubHTTPError, client.text_classification, "")
        check(error.response.status_code == 400 and error.response.json()["error_type"] == "Empty", error)


def plain_tei_shapes():
    """What users of Text Embeddings Inference send by hand."""
    with serving("-m", TINY, "--limits.inputs", "3") as node:
        def predict(body, path="/predict"):
            status, answer, headers = node.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
            return status, json.loads(answer), {name.lower(): value for name, value in headers.items()}

        def refused(body, status, kind, *texts):
            found, answer, _ = predict(body)
            check(found == status and answer["error_type"] == kind, body, found, answer)
            says(answer["error"], *texts)

        def is_of(scores, text, pair=None):
            expected = own(node, {"text": text, **({"text_pair": pair} if pair else {})})["probabilities"]
            return len(scores) == len(expected) and all(close(s["score"], expected[s["label"]]) for s in scores)

        for path in ("/predict", "/"):
            status, answer, headers = predict({"inputs": TEXTS[0]}, path)
            check(status == 200 and is_of(answer, TEXTS[0]), answer)
        for name in ("x-compute-type", "x-compute-time", "x-compute-characters", "x-compute-tokens", "x-total-time", "x-tokenization-time", "x-queue-time",
                     "x-inference-time"):
            check(re.fullmatch(r"[0-9]+|cpu", headers.get(name, "")), name, headers)
        check(headers["x-compute-characters"] == str(len(TEXTS[0])), headers)
        check(is_of(predict({"inputs": ["a film", "a warm film"]})[1], "a film", "a warm film"), "one pair")
        status, answer, _ = predict({"inputs": [[TEXTS[0]], ["a film", "a warm film"], [TEXTS[1]]]})
        check(status == 200 and len(answer) == 3, answer)
        check(is_of(answer[0], TEXTS[0]) and is_of(answer[1], "a film", "a warm film") and is_of(answer[2], TEXTS[1]), answer)
        check(predict({"inputs": TEXTS[0], "truncate": None, "truncation_direction": "right", "raw_scores": False, "unknown": 1})[0] == 200, "options")
        check(predict({"inputs": LONG, "truncate": True})[0] == 200 and predict({"inputs": LONG})[0] == 200, "a long text")
        check(all(s["score"] <= 0 for s in predict({"inputs": TEXTS[0], "raw_scores": True})[1]), "raw scores")
        nested = predict({"inputs": TEXTS[0], "parameters": {}})[1]
        check(len(nested) == 1 and is_of(nested[0], TEXTS[0]), nested)
        refused({"inputs": LONG, "truncate": False}, 422, "Validation", "tokens")
        refused({"inputs": ""}, 400, "Empty")
        refused({"inputs": []}, 400, "Empty")
        refused({"inputs": [["a"]] * 4}, 413, "Validation", "3")
        refused({"inputs": 7}, 422, "Validation", "inputs")
        refused({"inputs": [["a"], [7]]}, 422, "Validation", "inputs[1]")
        refused({}, 422, "Validation", "inputs")
        info = json.loads(node.get("/info")[1])
        labels = labels_of(node)
        check(info["model_type"]["classifier"]["id2label"] == {str(i): label for i, label in enumerate(labels)}, info)
        check(info["model_type"]["classifier"]["label2id"] == {label: i for i, label in enumerate(labels)}, info)
        check(info["max_client_batch_size"] == 3 and info["max_input_length"] == 128 and info["auto_truncate"] is True and info["version"], info)


# openai, for moderations.


def openai_client(node):
    return openai.OpenAI(base_url=node.url + "/v1", api_key="none is needed", max_retries=0)


def openai_moderates():
    with serving() as node, openai_client(node) as client:
        for inputs, texts in ((TEXTS[0], TEXTS[:1]), (TEXTS, TEXTS), ([{"type": "text", "text": TEXTS[1]}], TEXTS[1:2])):
            answer = client.moderations.create(input=inputs, model="omni-moderation-latest")
            check(answer.id.startswith("modr-") and answer.model and len(answer.results) == len(texts), answer)
            for result, text in zip(answer.results, texts):
                expected = own(node, {"text": text})["probabilities"]
                scores = result.category_scores.model_extra
                check(set(scores) == set(expected) and all(close(scores[k], expected[k]) for k in expected), scores, expected)
                categories = result.categories.model_extra
                check(categories == {label: share >= 0.5 for label, share in expected.items()}, categories, expected)
                first = labels_of(node)[0]
                check(result.flagged == any(on for label, on in categories.items() if label != first), result)
        check(client.moderations.create(input=TEXTS[0]).results, "without a model's name")
        check([m.id for m in client.models.list()], "models")


def openai_is_told_what_is_wrong():
    with serving("-m", TINY, "--limits.inputs", "3") as node, openai_client(node) as client:
        for inputs in ("", [], ["a", ""], [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/"}}]):
            error = raised((openai.BadRequestError, openai.UnprocessableEntityError), client.moderations.create, input=inputs)
            check(error.body["message"] and error.body["type"] and "param" in error.body and "code" in error.body, error.body)
        says(raised(openai.APIStatusError, client.moderations.create, input=["a"] * 4), "3")
        raised(openai.NotFoundError, client.embeddings.create, input="a", model="m")


def plain_vllm_shapes():
    with serving() as node:
        labels = labels_of(node)
        for inputs in (TEXTS[0], TEXTS):
            status, body, _ = node.request("POST", "/classify", json.dumps({"model": "any", "input": inputs}).encode())
            answer = json.loads(body)
            check(status == 200 and answer["object"] == "list" and answer["id"].startswith("classify-") and answer["model"], answer)
            check(abs(answer["created"] - time.time()) < 60, answer)
            texts = inputs if isinstance(inputs, list) else [inputs]
            check([d["index"] for d in answer["data"]] == list(range(len(texts))), answer)
            for data, text in zip(answer["data"], texts):
                expected = own(node, {"text": text})
                check(data["label"] == expected["label"] and data["num_classes"] == len(labels), data)
                check(all(close(p, expected["probabilities"][label]) for p, label in zip(data["probs"], labels)), data)
            usage = answer["usage"]
            check(usage["prompt_tokens"] == usage["total_tokens"] > 0 and usage["completion_tokens"] == 0, usage)
        status, body, _ = node.request("POST", "/classify", b'{"model":"any"}')
        check(status in (400, 422) and "input" in json.loads(body)["error"]["message"], body)


# Overload, in each client's words.


@contextlib.contextmanager
def busy(node):
    """A node of one thread that computes for some time, and asks others to come back."""
    texts = [json.loads(line)["text"] for line in review_lines()[:64]]
    ended = threading.Event()

    def work():
        while not ended.is_set():
            node.classify({"inputs": texts}, timeout=100)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(100)


def until_raised(kind, function):
    """The exception that a call raises sooner or later; a node is busy with pauses."""
    for _ in range(500):
        try:
            function()
        except kind as error:
            return error
    raise AssertionError(f"{kind.__name__} was not raised")


def overload_is_told():
    arguments = ("-m", os.path.join(ROOT, "models", "end.safetensors"), "--threads", "1", "--limits.queue", "1ms", "--deadline", "100s")
    with serving(*arguments) as node, openai_client(node) as client, triton_client(node) as other, busy(node):
        error = until_raised(openai.APIStatusError, lambda: client.moderations.create(input="a film"))
        check(error.status_code in (429, 503) and int(error.response.headers["retry-after"]) >= 1, error, error.response.headers)
        says(error, "overloaded")
        error = until_raised(huggingface_hub.errors.HfHubHTTPError,
                             lambda: huggingface_hub.InferenceClient(model=node.url).text_classification("a film"))
        check(error.response.status_code == 429 and error.response.json()["error_type"] == "Overloaded", error)
        error = until_raised(InferenceServerException, lambda: other.infer(MODEL, [tensor(["a film"])]))
        says(error, "overloaded")


# The document.


class Document:
    def __init__(self, node):
        self.contents = json.loads(node.get("/openapi.json")[1])
        resource = referencing.Resource(self.contents, referencing.jsonschema.DRAFT202012)
        self.registry = referencing.Registry().with_resource("urn:document", resource)

    def template(self, path):
        """The path as the document has it; the one with the fewest parameters first."""
        for template in sorted(self.contents["paths"], key=lambda t: t.count("{")):
            if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), path):
                return template
        raise AssertionError(f"{path} is not in the document")

    def at(self, *pointer):
        """(pointer, what lies there), through one reference."""
        value = self.contents
        for part in pointer:
            value = value[part]
        return self.at(*value["$ref"].removeprefix("#/").split("/")) if "$ref" in value else (pointer, value)

    def problems(self, pointer, body):
        """What a JSON body has against the schema of the request or the response that lies there."""
        pointer, _ = self.at(*pointer)
        pointer, _ = self.at(*pointer, "content", "application/json")
        place = "/".join(part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D") for part in (*pointer, "schema"))
        check("schema" in self.at(*pointer)[1], pointer, "has no schema")
        validator = jsonschema.Draft202012Validator({"$ref": "urn:document#/" + place}, registry=self.registry)
        return [error.message[:300] for error in validator.iter_errors(body)]

    def validate(self, method, path, sent, status, answer):
        """The answer is one of the document's, and what was served is one of its requests."""
        operation = ("paths", self.template(path), method.lower())
        responses = self.at(*operation)[1]["responses"]
        key = next((k for k in (str(status), f"{str(status)[0]}XX", "default") if k in responses), None)
        check(key is not None, "no answer has status", status)
        errors = self.problems((*operation, "responses", key), json.loads(answer))
        check(not errors, "the answer:", errors, answer[:300])
        if sent is not None and status == 200:
            errors = self.problems((*operation, "requestBody"), sent)
            check(not errors, "the request:", errors)


V2_INFER = f"/v2/models/{MODEL}/infer"
EXCHANGES = [
    ("GET", "/health", None, 200), ("GET", "/v1/level", None, 200), ("GET", "/info", None, 200), ("GET", "/v2", None, 200), ("GET", "/v2/models", None, 200),
    ("GET", f"/v2/models/{MODEL}", None, 200), ("GET", f"/v2/models/{MODEL}/versions/1", None, 200), ("GET", "/v1/models", None, 200),
    ("GET", "/v2/models/another", None, 404), ("POST", "/v1/classify", {"text": "a film"}, 200), ("POST", "/v1/classify", {"inputs": ["a", {"text": "b", "id": "7"}]}, 200),
    ("POST", "/v1/classify", {"inputs": ["a"] * 65}, 413), ("POST", "/predict", {"inputs": [["a"]] * 65}, 413), ("POST", "/classify", {"input": ["a"] * 65}, None),
    ("POST", V2_INFER, {"inputs": [{"name": "text", "shape": [65], "datatype": "BYTES", "data": ["a"] * 65}]}, None),
    ("GET", f"/v2/models/{MODEL}/config", None, None), ("POST", "/v1/classify", {"text": 7}, 422), ("POST", "/v1/classify", [], 400), ("POST", "/predict", {"inputs": "a film"}, 200),
    ("POST", "/predict", {"inputs": [["a"], ["a", "b"]]}, 200), ("POST", "/predict", {"inputs": "a", "parameters": {"top_k": 1}}, 200), ("POST", "/predict", {"inputs": ""}, 400),
    ("POST", "/predict", {}, 422), ("POST", "/", {"inputs": "a film"}, 200),
    ("POST", V2_INFER, {"id": "1", "inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}]}, 200), ("POST", V2_INFER, {"inputs": []}, 400),
    ("POST", "/v2/models/another/infer", {"inputs": []}, 404), ("POST", "/v1/moderations", {"input": ["a", "b"]}, 200), ("POST", "/v1/moderations", {"input": 7}, None),
    ("POST", "/classify", {"model": "m", "input": "a"}, 200), ("POST", "/classify", {"input": {}}, None),
]


def the_document_describes_the_answers():
    with serving() as node:
        document = Document(node)
        openapi_spec_validator.validate(document.contents)
        check(document.contents["openapi"].startswith("3.1"), document.contents["openapi"])
        check(document.contents["info"]["version"] == json.loads(node.get("/v1/level")[1])["version"], document.contents["info"])
        problems = []
        for method, path, body, wanted in EXCHANGES:
            status, answer, _ = node.request(method, path, None if body is None else json.dumps(body).encode())
            try:
                check(status == wanted or (wanted is None and 400 <= status <= 501), method, path, body, status, answer[:200])
                document.validate(method, path, body, status, answer)
            except (AssertionError, KeyError, ValueError) as problem:
                problems.append(f"\n{method} {path} {body}: {problem!r}")
        check(not problems, *problems)


CASES = [triton_asks_for_state, triton_infers, triton_infers_pairs, triton_chooses_outputs, triton_infers_asynchronously, triton_is_told_what_is_wrong,
         hugging_face_classifies, plain_tei_shapes, openai_moderates, openai_is_told_what_is_wrong, plain_vllm_shapes, overload_is_told,
         the_document_describes_the_answers]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[2:]))
