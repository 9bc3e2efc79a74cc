#!/usr/bin/env python3
"""mlserver.py RUNG: MLServer, a model server of the Open Inference Protocol V2 from PyPI, as the top level of a cascade: it is recorded by `rung fit`, then asked
by `rung serve`, killed, brought back, and given another model. Prints cases as cmocka does; ends with 77 when there is no package index."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from nodes_lib import ROOT, Node, review_lines, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
RUNG = os.path.realpath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build", "src", "cli", "rung")
VENV = os.path.join(ROOT, "build", "venv-mlserver")
PACKAGE = "mlserver=="
SKIPPED = 77


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def wanted_package():
    with open(os.path.join(HERE, "requirements.txt"), encoding="utf-8") as lines:
        return next(line.strip() for line in lines if line.startswith(PACKAGE))


def make_venv():
    """False when pip finds no package index."""
    package = wanted_package()
    mark = os.path.join(VENV, "installed")
    if os.path.exists(mark) and open(mark, encoding="utf-8").read() == package:
        return True
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    done = subprocess.run([os.path.join(VENV, "bin", "pip"), "install", "-q", "--disable-pip-version-check", package],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace")[-2000:])
        return False
    with open(mark, "w", encoding="utf-8") as out:
        out.write(package)
    return True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """MLServer with the model "reviews" on a port of its own, which stays the same when it is started again."""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.process = None
        os.makedirs(directory)
        shutil.copy(os.path.join(HERE, "bag_of_words", "bag_of_words.py"), directory)
        with open(os.path.join(directory, "settings.json"), "w", encoding="utf-8") as out:
            json.dump({"host": "127.0.0.1", "http_port": self.port, "grpc_port": free_port(), "metrics_port": free_port(),
                       "parallel_workers": 0, "debug": False}, out)

    def train(self, lines):
        data = os.path.join(self.directory, "train.jsonl")
        with open(data, "wb") as out:
            out.writelines(lines)
        subprocess.run([os.path.join(VENV, "bin", "python"), os.path.join(self.directory, "bag_of_words.py"), data,
                        os.path.join(self.directory, "weights.npz")], check=True)

    def start(self, version):
        with open(os.path.join(self.directory, "model-settings.json"), "w", encoding="utf-8") as out:
            json.dump({"name": "reviews", "implementation": "bag_of_words.BagOfWords",
                       "versions": [version], "parameters": {"version": version}}, out)
        self.log = open(os.path.join(self.directory, "log"), "ab")
        self.process = subprocess.Popen([os.path.join(VENV, "bin", "mlserver"), "start", self.directory],
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        ready = wait_until(lambda: self.process.poll() is not None or self.is_ready(), 60, 0.1)
        check(ready and self.process.poll() is None, "MLServer is not ready:", self.said())

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/v2/models/reviews/ready", timeout=2) as reply:
                return reply.status == 200
        except OSError:
            return False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def said(self):
        with open(os.path.join(self.directory, "log"), errors="replace") as log:
            return log.read()[-2000:]

    def kill(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            self.log.close()


class Scene:
    """What the cases share: files, the server, and the node below it. Each case begins where the one before ended."""

    def __init__(self, directory):
        self.lines = review_lines()
        self.data = os.path.join(directory, "reviews.jsonl")
        with open(self.data, "wb") as out:
            out.writelines(self.lines)
        self.server = Server(os.path.join(directory, "model"))
        self.config = os.path.join(directory, "cascade.yaml")
        self.calibration = os.path.join(directory, "calibration.json")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(f"""levels:
  - name: edge
    model: {ROOT}/models/edge.safetensors
  - name: cloud
    remote: {{protocol: v2, addresses: ["{self.server.url}"], model: reviews, labels: [neg, pos], deadline: 5s}}
    link: 4g
calibration: calibration.json
policy: {{offload: {{threshold: 1}}, ensemble: {{weights: last}}}}
""")
        self.node = None

    def fit(self):
        done = subprocess.run([RUNG, "fit", "-c", self.config, "--data", self.data, "--heads", "keep"], capture_output=True)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def ask(self, row=0):
        review = json.loads(self.lines[row])
        status, body = self.node.classify({"id": review["id"], "text": review["text"]})
        check(status == 200, status, body)
        return json.loads(body)

    def upstream(self):
        return json.loads(self.node.get("/v1/level")[1])["upstream"]

    def close(self):
        if self.node is not None:
            self.node.stop()
        self.server.kill()


# Cases, in this order.


def a_fit_without_the_server_keeps_nothing(scene):
    code, _, said = scene.fit()
    check(code != 0 and "cloud" in said and scene.server.url in said, code, said)
    check(not os.path.exists(scene.calibration), "a calibration was written")


def a_fit_records_the_server(scene):
    scene.server.train(scene.lines[::2])
    scene.server.start("1")
    code, table, said = scene.fit()
    check(code == 0, code, said, scene.server.said())
    check("cloud" in table, table)
    with open(scene.calibration, "rb") as file:
        first = file.read()
    level = json.loads(first)["levels"][1]
    check(level["remote"]["protocol"] == "v2" and level["remote"]["labels"] == ["neg", "pos"], level)
    check(json.loads(level["remote"]["identity"])["versions"] == ["1"], level)
    check(level["layers"] == 1 and len(level["exits"]) == 1 and level["accuracy"] > 0.7, level)
    code, _, said = scene.fit()
    check(code == 0, code, said)
    with open(scene.calibration, "rb") as file:
        check(file.read() == first, "a second fit gives other bytes")


def requests_are_answered_by_the_server(scene):
    scene.node = Node(RUNG, ["-c", scene.config, "--level", "edge", "--deadline", "20s"])
    right = 0
    for row in range(0, 40):
        answer = scene.ask(row)
        check(answer["level"] == 2 and not answer["degraded"], answer)
        top = answer["levels"][1]
        check((top["model"], top["exit_layer"], top["layers"]) == ("cloud", 1, 1), top)
        check(answer["probabilities"]["pos"] == top["probabilities"][1], answer)
        right += answer["label"] == json.loads(scene.lines[row])["label"]
    check(right >= 28, "only", right, "of 40 are right")
    check(wait_until(lambda: scene.upstream()["model_changed"] is False), scene.upstream())
    check(scene.node.metric("rung_upstream_model_changed") == 0, "the model counts as changed")


def commands_that_run_all_levels_refuse(scene):
    done = subprocess.run([RUNG, "classify", "-c", scene.config, "good"], capture_output=True)
    said = done.stderr.decode()
    check(done.returncode == 2 and "is remote" in said and "rung serve --level edge" in said, done.returncode, said)


def without_the_server_answers_are_degraded(scene):
    scene.server.kill()
    reasons = set()
    for row in range(8):
        answer = scene.ask(row)
        check(answer["level"] == 1 and answer["degraded"], answer)
        reasons.add(answer["degraded_reason"])
    check(reasons == {"unreachable"}, reasons)


def it_comes_back_with_another_version(scene):
    scene.server.start("2")
    check(wait_until(lambda: scene.ask()["level"] == 2, 30, 0.2), scene.ask())
    check(wait_until(lambda: scene.upstream()["model_changed"], 10, 0.1), scene.upstream())
    check(scene.node.metric("rung_upstream_model_changed") == 1, "the model does not count as changed")
    said = scene.node.stderr()
    check("model of the next level changed" in said and '"warn"' in said, said)
    check(not scene.ask(1)["degraded"], "calls do not go on")


CASES = [a_fit_without_the_server_keeps_nothing, a_fit_records_the_server, requests_are_answered_by_the_server,
         commands_that_run_all_levels_refuse, without_the_server_answers_are_degraded, it_comes_back_with_another_version]


def main():
    if not make_venv():
        print("SKIP mlserver no-pypi")
        return SKIPPED
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        scene = Scene(directory)
        try:
            for case in CASES:
                print(f"[ RUN      ] {case.__name__}", flush=True)
                try:
                    case(scene)
                    print(f"[       OK ] {case.__name__}", flush=True)
                except Exception:
                    failed += 1
                    traceback.print_exc(file=sys.stdout)
                    print(f"[  FAILED  ] {case.__name__}", flush=True)
                    break  # the next case needs what this one should have left
        finally:
            scene.close()
    return 1 if failed > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
