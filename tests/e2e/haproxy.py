#!/usr/bin/env python3
"""haproxy.py RUNG: three replicas behind HAProxy with examples/haproxy.cfg; they die, freeze and drain under load, and no request is lost. Prints cases as
cmocka does."""

import http.client
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from nodes_lib import ROOT, Node, check, reviews, run_cases, wait_until, without_times

RUNG = os.path.realpath(sys.argv[1])
TINY = os.path.join(ROOT, "tests", "golden", "tiny-bert")
HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
RATE = 250  # requests a second
CLIENTS = 12
DOWN_S = 0.8
ROWS = reviews(60, 900)


def v2_body(text):
    return {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]}


# What is asked for in turn: paths and bodies of three APIs.
ASKED = [(path, json.dumps(make(text)).encode()) for _, text in ROWS
         for path, make in (("/v1/classify", lambda t: {"text": t}), ("/predict", lambda t: {"inputs": t}), ("/v2/models/level1/infer", v2_body))]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    """HAProxy with the example's configuration, before nodes that the example expects on ports 8081 to 8083."""

    def __init__(self, nodes):
        with open(os.path.join(ROOT, "examples", "haproxy.cfg"), encoding="utf-8") as file:
            text = file.read()
        self.port = free_port()
        for example, port in zip((8080, 8081, 8082, 8083), (self.port, *(node.port for node in nodes))):
            check(f" 127.0.0.1:{example}\n" in text, "the example has no port", example)
            text = text.replace(f" 127.0.0.1:{example}\n", f" 127.0.0.1:{port}\n")
        self.file = tempfile.NamedTemporaryFile("w", suffix=".cfg")
        self.file.write(text)
        self.file.flush()
        checked = subprocess.run([HAPROXY, "-c", "-f", self.file.name], capture_output=True)
        check(checked.returncode == 0 and b"WARNING" not in checked.stderr, checked.stdout, checked.stderr)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([HAPROXY, "-db", "-f", self.file.name], stdout=self.log, stderr=self.log)
        check(wait_until(self.serves), "HAProxy does not serve")

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def serves(self):
        connection = self.connect()
        try:
            connection.request("GET", "/health")
            return connection.getresponse().read() == b'{"status":"ok"}'
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.file.close()


class Load:
    """Requests at a fixed rate over connections that stay open; what is not as expected is kept."""

    def __init__(self, proxy, expected):
        self.proxy, self.expected = proxy, expected
        self.bad, self.done, self.slowest_s = [], 0, 0
        self.todo = queue.Queue()
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.client, daemon=True) for _ in range(CLIENTS)]
        self.threads.append(threading.Thread(target=self.clock, daemon=True))
        for thread in self.threads:
            thread.start()

    def clock(self):
        start, sent = time.monotonic(), 0
        while not self.ending.is_set():
            due = int((time.monotonic() - start) * RATE)
            for i in range(sent, due):
                self.todo.put((start + i / RATE, i % len(ASKED)))
            sent = due
            time.sleep(0.005)
        for _ in range(CLIENTS):
            self.todo.put(None)

    def client(self):
        connection = self.proxy.connect()
        while (item := self.todo.get()) is not None:
            intended, which = item
            try:
                connection.request("POST", *ASKED[which])
                reply = connection.getresponse()
                body = reply.read()
                wrong = (reply.status, body) if reply.status != 200 or without_times(body) != self.expected[which] else None
            except (OSError, http.client.HTTPException) as error:
                wrong = ("exception", repr(error))
                connection.close()
            with self.lock:
                self.done += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - intended)
                if wrong:
                    self.bad.append((ASKED[which], *wrong))
        connection.close()

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)


# Faults. Each returns the replica that serves afterwards.


def start(port=0):
    return Node(RUNG, ["-m", TINY, "--limits.queue", "10s"], port)


def killed(node):
    node.kill()
    time.sleep(DOWN_S)
    return start(node.port)


def drained(node):
    code = node.stop()
    check(code == 0, "exit code of a drained node:", code, node.stderr())
    time.sleep(DOWN_S)
    return start(node.port)


def restarted(node):
    """Before a check sees it."""
    code = node.stop()
    check(code == 0, "exit code of a drained node:", code, node.stderr())
    return start(node.port)


def frozen(node):
    node.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    node.process.send_signal(signal.SIGCONT)
    return node


def answered(node):
    return node.metric('rung_requests_total{outcome="ok"}')


def replicas_come_and_go_and_nothing_is_lost():
    nodes = [start() for _ in range(3)]
    proxy = Proxy(nodes)
    try:
        expected = [without_times(nodes[0].request("POST", *asked)[1]) for asked in ASKED]
        load = Load(proxy, expected)
        begun = time.monotonic()
        try:
            for turn, fault in enumerate([killed, drained, killed, restarted, frozen, drained, restarted, killed, drained, restarted, killed]):
                i = turn % len(nodes)
                nodes[i] = fault(nodes[i])
                before = answered(nodes[i])
                check(wait_until(lambda: answered(nodes[i]) > before + 10), fault.__name__, "replica", i + 1, "gets no requests again")
        finally:
            load.end()
        seconds = time.monotonic() - begun
        print(f"{load.done} requests in {seconds:.1f} s, {len(load.bad)} wrong, the slowest took {load.slowest_s * 1e3:.0f} ms")
        check(load.bad == [], len(load.bad), "of", load.done, "requests:", load.bad[:5])
        check(load.done > seconds * RATE / 4, "too few requests to tell:", load.done)
        for node in nodes:
            code = node.stop()
            check(code == 0, "exit code", code, node.stderr())
    finally:
        for node in nodes:
            node.stop(signal.SIGKILL)
        proxy.stop()


def all_replicas_gone_is_said_and_heals():
    nodes = [start() for _ in range(3)]
    proxy = Proxy(nodes)

    def ask():
        """The status; 0 for a connection that ends without one, as HAProxy does when all it tried were open connections to what is gone."""
        connection = proxy.connect()
        try:
            connection.request("POST", "/v1/classify", b'{"text":"a warm film"}')
            return connection.getresponse().status
        except http.client.RemoteDisconnected:
            return 0
        finally:
            connection.close()

    try:
        check(ask() == 200, "before")
        for node in nodes:
            node.kill()
        check(wait_until(lambda: ask() == 503, 10), "not 503 without a replica")
        nodes = [start(node.port) for node in nodes]
        check(wait_until(lambda: ask() == 200), "does not heal")
    finally:
        for node in nodes:
            node.stop(signal.SIGKILL)
        proxy.stop()


CASES = [replicas_come_and_go_and_nothing_is_lost, all_replicas_gone_is_said_and_heals]


if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[2:], None if HAPROXY else "no-haproxy"))
