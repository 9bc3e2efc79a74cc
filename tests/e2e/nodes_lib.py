"""Starts `rung serve` processes and talks to them. For the end-to-end tests and the benches; the standard library only."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.environ.get("MESON_SOURCE_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMES = re.compile(rb'"(compute_ms|queue_ms|link_ms|latency_ms)":[0-9.e+-]+')


def without_times(line):
    return TIMES.sub(rb'"\1":T', line)


class Node:
    """One `rung serve`. `port` 0 takes a free one; url is known when the constructor returns."""

    def __init__(self, rung, arguments, port=0):
        self.arguments = list(arguments)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [rung, "serve", "--listen", f"127.0.0.1:{port}", *self.arguments],
            stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, "RUNG_DATA": ROOT})
        line = self.process.stdout.readline().decode().strip()
        if not line.startswith("http://"):
            self.process.wait()
            raise RuntimeError(f"rung serve {' '.join(self.arguments)}: exit code {self.process.returncode}: {self.stderr()}")
        self.url = line
        self.port = int(line.rsplit(":", 1)[1])

    def stderr(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def connect(self, timeout=30):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=30):
        """(status, body bytes, headers) of one request on its own connection."""
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read(), dict(reply.getheaders())
        finally:
            connection.close()

    def classify(self, body, headers=None, timeout=30):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body, ensure_ascii=False).encode()
        status, data, _ = self.request("POST", "/v1/classify", body, headers, timeout)
        return status, data

    def get(self, path):
        status, data, _ = self.request("GET", path)
        return status, data

    def metric(self, name):
        """The value of a line of /metrics that starts with `name` (labels included); 0.0 when there is none."""
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, number=signal.SIGTERM, timeout=30):
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Cascade:
    """All levels of a cascade.yaml as processes, each with the next one's address."""

    def __init__(self, rung, config=None, levels=3, extra=(), upstream=(), emulate=False):
        self.rung = rung
        self.common = (["-c", config] if config else []) + list(extra)
        self.upstream = list(upstream)
        self.levels = levels
        self.emulate = emulate
        self.nodes = {}
        try:
            for level in range(levels, 0, -1):
                self.start(level)
        except BaseException:
            self.stop()
            raise

    def start(self, level, port=0):
        arguments = [*self.common, "--level", str(level)]
        if level < self.levels:
            arguments += ["--upstream.addresses", self.nodes[level + 1].url, *self.upstream]
            if self.emulate:
                arguments += ["--emulate-links"]
        self.nodes[level] = Node(self.rung, arguments, port)
        return self.nodes[level]

    def restart(self, level):
        return self.start(level, self.nodes[level].port)

    def stop(self):
        return {level: node.stop() for level, node in self.nodes.items()}

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


def wait_until(condition, seconds=30, step=0.02):
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step)
    return False


def in_thread(function, *arguments):
    """Starts function; join() returns its result."""
    result = {}

    def run():
        result["value"] = function(*arguments)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    class Handle:
        def join(self, timeout=60):
            thread.join(timeout)
            return result.get("value")

    return Handle()


def review_lines():
    """The lines of examples/reviews.jsonl.zst, as bytes with their newlines."""
    path = os.path.join(ROOT, "examples", "reviews.jsonl.zst")
    whole = subprocess.run(["zstd", "-dcq", "--", path], stdout=subprocess.PIPE, check=True).stdout
    return [line + b"\n" for line in whole.split(b"\n") if line]


def reviews(limit=None, longest=10 ** 9):
    """[(id, text)] of the examples."""
    rows = [(row["id"], row["text"]) for row in map(json.loads, review_lines())]
    return [row for row in rows if len(row[1]) <= longest][:limit]


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def run_cases(cases, wanted=(), missing=None):
    """Runs functions without arguments, those named or all, and prints them as cmocka does; returns the exit code. With `missing`, a condition of
    tests/skips.txt, all are skipped for it."""
    failed = 0
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        print(f"[ RUN      ] {case.__name__}", flush=True)
        if missing:
            print(f"SKIP {case.__name__} {missing}\n[  SKIPPED ] {case.__name__}", flush=True)
            continue
        try:
            case()
            print(f"[       OK ] {case.__name__}", flush=True)
        except Exception:  # a case's failure must not hide the others
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"[  FAILED  ] {case.__name__}", flush=True)
    return int(failed > 0)
