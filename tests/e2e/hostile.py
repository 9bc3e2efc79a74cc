#!/usr/bin/env python3
"""hostile.py RUNG [CASE...]: what no honest client sends, on the path of every API, with good requests beside it: refused clearly, never an error of
the server, and nobody else notices. Prints cases as cmocka does."""

import contextlib
import http.client
import json
import os
import random
import resource
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from nodes_lib import ROOT, Node, check, run_cases, wait_until, without_times

RUNG = os.path.realpath(sys.argv[1])
TINY = os.path.join(ROOT, "tests", "golden", "tiny-bert")
NODE = ["-m", TINY, "--limits.body", "8MiB", "--limits.queue", "30s", "--deadline", "100s", "--limits.connections_per_client", "0"]
REFUSED = {400, 413, 422}
REFUSED_HEAD = {400, 413, 414, 431, 501, 505}
with open(RUNG, "rb") as file:
    program = file.read()
SANITIZED = b"__asan_" in program or b"__tsan_" in program
GROWTH_BYTES = (512 if SANITIZED else 16) << 20  # freed memory that an allocator may keep; a sanitizer keeps much, and looks for leaks at the end


class Api:
    """A path, how a text (as JSON, right or wrong) and a list of texts stand in a body, the form of an error, and a text in a list."""

    def __init__(self, path, one, several, message, element=b'"a"'):
        self.path, self.one, self.several, self.message, self.element = path, one, several, message, element

    def body(self, text):
        return self.one.replace(b"TEXT", text)

    def list_body(self, count):
        return self.several.replace(b"COUNT", b"%d" % count).replace(b"TEXTS", b",".join([self.element] * count))


# The message of an error, or what is no message when its form is wrong.


def plain_error(answer):
    return set(answer) == {"error"} and answer["error"]


def tei_error(answer):
    types = ("Empty", "Validation", "Tokenizer", "Backend", "Overloaded", "Unhealthy")
    return set(answer) == {"error", "error_type"} and answer["error_type"] in types and answer["error"]


def openai_error(answer):
    error = answer["error"]
    return set(answer) == {"error"} and set(error) == {"message", "type", "param", "code"} and error["message"]


V2_PATH = "/v2/models/level1/infer"
APIS = {
    "rung": Api("/v1/classify", b'{"text":TEXT}', b'{"inputs":[TEXTS]}', plain_error),
    "tei": Api("/predict", b'{"inputs":TEXT}', b'{"inputs":[TEXTS]}', tei_error, b'["a"]'),
    "v2": Api(V2_PATH, b'{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":[TEXT]}]}',
              b'{"inputs":[{"name":"text","shape":[COUNT],"datatype":"BYTES","data":[TEXTS]}]}', plain_error),
    "openai": Api("/v1/moderations", b'{"input":TEXT}', b'{"input":[TEXTS]}', openai_error),
    "vllm": Api("/classify", b'{"input":TEXT}', b'{"input":[TEXTS]}', openai_error),
}
GOOD_TEXT = b'"a warm film"'


def raw(node, data, wait=60):
    """All that comes back until the node closes."""
    got = b""
    with socket.create_connection(("127.0.0.1", node.port), wait) as s:
        try:
            s.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused before its end; the refusal is there to be read
        try:
            while chunk := s.recv(65536):
                got += chunk
        except ConnectionResetError:
            pass
    return got


def parse(reply):
    """(status, body) of an answer; status 0 for none at all."""
    reply = reply.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, _, body = reply.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    return (int(words[1]) if len(words) > 1 and words[0] in (b"HTTP/1.1", b"HTTP/1.0") else 0), body


def post(node, path, body, headers=b""):
    return parse(raw(node, b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s"
                     % (path.encode(), len(body), headers, body)))


def stable(name, body):
    """An answer without what differs between equal requests."""
    if name == "rung":
        return without_times(body)
    answer = json.loads(body)
    if isinstance(answer, dict):
        answer.pop("id", None)
        answer.pop("created", None)
    return answer


def problem_with_error(api, status, body, allowed):
    """Why an answer is no clear refusal, or None. `allowed` may hold 200."""
    if status not in allowed:
        return f"status {status}: {body[:200]!r}"
    if status == 200:
        return None
    try:
        message = api.message(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError):
        message = None
    if not isinstance(message, str) or "\n" in message or len(message.encode()) > 1000:
        return f"status {status}, not in the form of an error: {body[:300]!r}"
    return None


class Good:
    """Good requests to each API, one after the other on connections that stay open, until the end; a different answer is kept."""

    def __init__(self, node, pause_s=0.02):
        self.node, self.pause_s = node, pause_s
        self.done, self.bad = 0, []
        self.expected = {}
        for name, api in APIS.items():
            status, body = post(node, api.path, api.body(GOOD_TEXT))
            check(status == 200, name, "a good request:", status, body[:300])
            self.expected[name] = stable(name, body)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=100)
        while not self.ending.is_set():
            for name, api in APIS.items():
                try:
                    connection.request("POST", api.path, api.body(GOOD_TEXT))
                    reply = connection.getresponse()
                    body = reply.read()
                    if reply.status != 200 or stable(name, body) != self.expected[name]:
                        self.bad.append((name, reply.status, body[:200]))
                except (OSError, http.client.HTTPException, ValueError) as error:
                    self.bad.append((name, repr(error)))
                    connection.close()
                self.done += 1
            time.sleep(self.pause_s)
        connection.close()

    def end(self):
        self.ending.set()
        self.thread.join(120)
        check(self.bad == [] and self.done > 0, len(self.bad), "of", self.done, "good requests were touched:", self.bad[:3])


def resident_bytes(node):
    return node.metric("process_resident_memory_bytes")


def processor_s(node):
    with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(*extra):
    """A node and good traffic; in the end the traffic was not touched, and the node ends as it should."""
    node = Node(RUNG, [*NODE, *extra])
    try:
        good = Good(node)
        try:
            yield node
        finally:
            good.end()
        check(node.get("/health") == (200, b'{"status":"ok"}'), "health", node.get("/health"))
        for code in ("500", "503"):
            check(node.metric(f'rung_http_responses_total{{code="{code}"}}') == 0, code, "was answered")
    finally:
        code = node.stop()
    check(code == 0, "exit code", code, node.stderr()[-2000:])


def twice(node, attack):
    """The attack, and again: the second time takes no memory."""
    problems = attack(node)
    before = resident_bytes(node)
    problems += attack(node)
    grown = resident_bytes(node) - before
    check(not problems, len(problems), "problems:", *problems[:12])
    print(f"memory grew by {grown / 1e6:.1f} MB")
    check(grown < GROWTH_BYTES, "memory grew by", grown)


def nested(opening, closing, depth=10 ** 6):
    return opening * depth + closing * depth


WRONG_TEXTS = {
    "10^6 lists": nested(b"[", b"]"), "10^6 lists that stay open": b"[" * 10 ** 6, "10^5 objects": nested(b'{"a":', b"}", 10 ** 5).replace(b":}", b":1}", 1),
    "high surrogate": b'"\\ud800"', "low surrogate": b'"\\udc00"', "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "surrogate and a letter": b'"\\ud800a"', "surrogate in UTF-8": b'"\xed\xa0\x80"', "no UTF-8": b'"\xff"', "half a character": b'"\xe2\x82"',
    "overlong": b'"\xc0\xaf"', "beyond Unicode": b'"\xf4\x90\x80\x80"', "raw control": b'"a\x01b"', "raw NUL": b'"a\0b"', "raw line feed": b'"a\nb"',
    "open string": b'"a', "open escape": b'"\\u12"', "unknown escape": b'"\\x41"', "number": b"7", "endless number": b"9" * 10 ** 5, "1e999999": b"1e999999",
    "NaN": b"NaN", "true": b"true", "object": b"{}", "nothing": b"", "empty list": b"[]", "list of lists of numbers": b"[[[7]]]", "garbage after": b'"a"}}"',
}
STRANGE_TEXTS = {
    "escaped NUL": b'"a\\u0000b"', "one word of 1 MB": b'"' + b"x" * 10 ** 6 + b'"', "one word of escapes": b'"' + b"\\u0041" * 150000 + b'"',
    "combining marks": b'"a' + "\u0301".encode() * 300000 + b'"', "mixed combining marks": b'"a' + "\u0323\u0301\u05b0".encode() * 100000 + b'"',
    "Hangul": '"각'.encode() + "ᆨ".encode() * 200000 + b'"', "joined emoji": b'"' + "👩‍".encode() * 100000 + b'"', "spaces": b'"a' + b" " * 10 ** 6 + b'b"',
    "line feeds": b'"a' + b"\\n" * 400000 + b'b"', "no characters": '"\ufffe\uffff\u200b\ufeff"'.encode(), "punctuation": b'"' + b"!?" * 400000 + b'"',
    "Chinese": b'"' + "字".encode() * 300000 + b'"', "direction marks": b'"' + "\u202e".encode() * 200000 + b'"',
}


def texts_are_refused_or_served():
    def attack(node):
        problems = []
        for name, api in APIS.items():
            for texts, allowed in ((WRONG_TEXTS, REFUSED), (STRANGE_TEXTS, REFUSED | {200})):
                for what, text in texts.items():
                    problem = problem_with_error(api, *post(node, api.path, api.body(text)), allowed)
                    if problem:
                        problems.append(f"\n{name}, {what}: {problem}")
        return problems

    with serving() as node:
        twice(node, attack)


def bodies_are_refused():
    noise = random.Random(1).randbytes(10 ** 6)

    def attack(node):
        problems = []
        for name, api in APIS.items():
            good = api.body(GOOD_TEXT)
            keys = b"".join(b'"key%d":%d,' % (i, i) for i in range(10 ** 5))
            bodies = {"empty": b"", "null": b"null", "list": b"[]", "string": b'"a"', "noise": noise, "cut": good[:-1], "twice": good * 2, "NUL after": good + b"\0",
                      "10^6 elements": api.list_body(10 ** 6), "65 elements": api.list_body(65), "no elements": api.list_body(0),
                      "one of 64 wrong": b"7".join(api.list_body(64).rsplit(b'"a"', 1)), "9 MiB": api.body(b'"' + b"x" * (9 << 20) + b'"'),
                      "UTF-16": b"\xff\xfe" + good.decode().encode("utf-16-le")}
            for what, body in bodies.items():
                problem = problem_with_error(api, *post(node, api.path, body), REFUSED)
                if problem:
                    problems.append(f"\n{name}, {what}: {problem}")
            allowed = REFUSED | ({200} if name != "rung" else set())
            problem = problem_with_error(api, *post(node, api.path, b"{" + keys + good[1:]), allowed)
            if problem:
                problems.append(f"\n{name}, 10^5 keys: {problem}")
        return problems

    with serving() as node:
        twice(node, attack)


def heads(path, body):
    """(what, bytes, whether it is legal) of requests whose heads or chunks are the attack."""
    start = b"POST %s HTTP/1.1\r\nConnection: close\r\n" % path.encode()
    host = start + b"Host: x\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    chunked = host + b"Transfer-Encoding: chunked\r\n"
    one = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for what, lines in {
            "length and chunks": length + b"Transfer-Encoding: chunked\r\n", "chunks and length": b"Transfer-Encoding: chunked\r\n" + length,
            "two lengths": length + b"Content-Length: 1\r\n", "a length twice": length * 2, "negative length": b"Content-Length: -1\r\n",
            "signed length": b"Content-Length: +%d\r\n" % len(body), "list of lengths": b"Content-Length: %d, %d\r\n" % (len(body), len(body)),
            "hexadecimal length": b"Content-Length: 0x10\r\n", "length beyond 64 bits": b"Content-Length: 18446744073709551617\r\n",
            "no length": b"Content-Length:\r\n", "unknown coding": b"Transfer-Encoding: gzip\r\n", "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n",
            "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "coding with a tab": b"Transfer-Encoding: \x0bchunked\r\n",
            "NUL": length + b"X: a\0b\r\n", "NUL in a name": length + b"X\0Y: a\r\n", "control": length + b"X: a\x01b\r\n", "escape": length + b"X: \x1b[2J\r\n",
            "DEL": length + b"X: a\x7fb\r\n", "space before the colon": length + b"X : a\r\n", "space before the colon of a length": b"Content-Length : 5\r\n",
            "folded line": length + b"X: a\r\n b\r\n", "folded first line": b" X: a\r\n" + length, "bare line feed": length + b"X: a\nY: b\r\n",
            "bare carriage return": length + b"X: a\rY: b\r\n", "no colon": length + b"nothing\r\n", "no name": length + b": a\r\n",
            "100 KB in a header": length + b"X: " + b"y" * 100000 + b"\r\n", "2,000 headers": length + b"".join(b"X%d: y\r\n" % i for i in range(2000)),
            "a name of 100 KB": length + b"y" * 100000 + b": x\r\n", "two hosts": length + b"Host: y\r\n"}.items():
        yield what, host + lines + b"\r\n" + body, False
    yield "no host", start + length + b"\r\n" + body, False
    yield "a target of 100 KB", host.replace(b" HTTP", b"?" + b"x" * 100000 + b" HTTP") + length + b"\r\n" + body, False
    yield "control in the target", host.replace(b" HTTP", b"?\x01 HTTP") + length + b"\r\n" + body, False
    yield "version 9.9", host.replace(b"HTTP/1.1", b"HTTP/9.9") + length + b"\r\n" + body, False
    yield "chunks in 1.0", chunked.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n" + one, False
    yield "a size that is no number", chunked + b"\r\nzz\r\n" + body, False
    yield "a negative size", chunked + b"\r\n-1\r\n" + body, False
    yield "a size beyond 64 bits", chunked + b"\r\n10000000000000001\r\n" + body, False
    yield "a chunk of 1 EB", chunked + b"\r\n0fffffffffffffff\r\n" + body + b" " * (9 << 20), False
    yield "a chunk longer than its size", chunked + b"\r\n1\r\n" + body + b"\r\n0\r\n\r\n", False
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", False
    yield "TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(256)) * 2, False
    yield "expects to be asked", host + length + b"Expect: 100-continue\r\n\r\n" + body, True
    yield "offers HTTP/2", host.replace(b"Connection: close", b"Connection: close, Upgrade") + length + b"Upgrade: h2c\r\n\r\n" + body, True
    yield "garbage after it", host + length + b"\r\n" + body + b"\0garbage\r\n\r\n", True
    yield "chunks of a byte", chunked + b"\r\n" + b"".join(b"1\r\n%c\r\n" % c for c in body) + b"0\r\n\r\n", True
    yield "bytes from 0x80", host + length + b"X: \xff\xfe\r\n\r\n" + body, True
    yield "one chunk", chunked + b"\r\n" + one, True


def heads_are_refused():
    elsewhere = set()  # what libmicrohttpd refuses before the node sees a request, with a page of its own or by closing

    def attack(node):
        problems = []
        for name, api in APIS.items():
            for what, data, legal in heads(api.path, api.body(GOOD_TEXT)):
                status, body = parse(raw(node, data))
                if not legal and (status == 0 or (status in REFUSED_HEAD and b"<html>" in body)):
                    elsewhere.add(what)
                    continue
                problem = problem_with_error(api, status, body, {200} if legal else REFUSED_HEAD)
                if problem:
                    problems.append(f"\n{name}, {what}: {problem}")
        return problems

    with serving() as node:
        twice(node, attack)
        print("refused by libmicrohttpd:", ", ".join(sorted(elsewhere)))


def paths_and_methods_are_refused():
    """Allow says what an API's path takes. What is no path of an API is not found, however it is written."""

    def attack(node):
        problems = []
        for name, api in APIS.items():
            for method in (b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"post", b"X" * 1000):
                reply = raw(node, b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (method, api.path.encode()))
                problem = problem_with_error(api, *parse(reply), {405}) or (b"\r\nAllow: POST\r\n" not in reply and "no Allow")
                if problem:
                    problems.append(f"\n{name}, {method[:10]}: {problem}")
            for path in (api.path + "/", "/" + api.path, api.path + "/..", api.path + "%00", api.path.upper(), "/x/.." + api.path, api.path + ";x", api.path + "/x" * 5000):
                status, body = post(node, path, api.body(GOOD_TEXT))
                if status not in (404, 405, 414, 431) or b"<html" in body:
                    problems.append(f"\n{name}, {path[:40]}: status {status}: {body[:200]!r}")
        return problems

    with serving() as node:
        twice(node, attack)


def element(text):
    return struct.pack("<I", len(text)) + text


def binary_infer(tensors, data, header_bytes=None, length=None):
    """(headers, body) of a V2 request with binary data. tensors: [(name, shape, datatype, binary_data_size)]."""
    header = json.dumps({"inputs": [{"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}
                                    for name, shape, datatype, size in tensors]}).encode() if header_bytes is None else header_bytes
    return b"Inference-Header-Content-Length: %s\r\n" % (b"%d" % len(header) if length is None else length), header + data


def lies_of_binary_tensors():
    data = element(b"a warm film")
    good = [("text", [1], "BYTES", len(data))]
    header = binary_infer(good, b"")[1]
    body_bytes = len(header) + len(data)
    for length in (b"%d" % (body_bytes + 1), b"-1", b"+%d" % len(header), b"0", b"", b"x", b"1e3", b"0x10", b"18446744073709551617", b"9223372036854775808",
                   b"%d" % (len(header) - 1), b"%d" % (len(header) + 1), b"%d" % body_bytes, b"%d, %d" % (len(header), len(header))):
        yield f"header length {length.decode() or 'empty'}", *binary_infer(good, data, length=length)
    for size in (len(data) + 1, len(data) - 1, 0, -1, 2 ** 31, 2 ** 32 + len(data), 2 ** 63 - 1, 2 ** 63, 2 ** 64 + len(data), 1.5, "15", None, True, [15], {}):
        yield f"binary_data_size {size!r}", *binary_infer([("text", [1], "BYTES", size)], data)
    yield "no data", *binary_infer(good, b"")
    yield "bytes after the tensor", *binary_infer(good, data + b"\0")
    for count in (len(data) - 3, 2 ** 31, 2 ** 32 - 1):
        lie = struct.pack("<I", count) + b"a warm film"
        yield f"an element of {count} bytes", *binary_infer([("text", [1], "BYTES", len(lie))], lie)
    yield "half a length", *binary_infer([("text", [2], "BYTES", len(data) + 2)], data + b"\1\0")
    yield "one element of two", *binary_infer([("text", [2], "BYTES", len(data))], data)
    yield "two elements of one", *binary_infer([("text", [1], "BYTES", 2 * len(data))], data * 2)
    yield "no UTF-8", *binary_infer([("text", [1], "BYTES", 6)], element(b"\xff\xfe"))
    yield "data twice", *binary_infer(None, data, json.dumps({"inputs": [
        {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"], "parameters": {"binary_data_size": len(data)}}]}).encode())
    yield "two tensors in the room of one", *binary_infer([("text", [1], "BYTES", len(data)), ("text_pair", [1], "BYTES", len(data))], data)
    yield "three tensors", *binary_infer([(name, [1], "BYTES", len(data)) for name in "abc"], data * 3)
    yield "10^6 elements", *binary_infer([("text", [10 ** 6], "BYTES", 5 * 10 ** 6)], element(b"a") * 10 ** 6)
    for datatype in ("FP32", "bytes", "", "INT64", 7, None, "B" * 10 ** 5):
        yield f"datatype {str(datatype)[:8]!r}", *binary_infer([("text", [1], datatype, len(data))], data)
    for shape in SHAPES:
        yield f"shape {shape!r:.60}", *binary_infer([("text", shape, "BYTES", len(data))], data)


SHAPES = ([10 ** 6], [10 ** 6, 10 ** 6], [2 ** 62, 4], [2 ** 63], [2 ** 64], [2 ** 64 + 1], [-1], [-1, -1], [0], [1.5], ["1"], [None], [[1]], "1", 1, None, {},
          [1] * 10 ** 5, [2], [1, 2], [2, 0])


def v2_requests_that_lie_are_refused():
    api = APIS["v2"]

    def attack(node):
        problems = []
        for what, headers, body in lies_of_binary_tensors():
            problem = problem_with_error(api, *post(node, api.path, body, headers), REFUSED)
            if problem:
                problems.append(f"\nbinary, {what}: {problem}")
        for shape in SHAPES:
            body = json.dumps({"inputs": [{"name": "text", "shape": shape, "datatype": "BYTES", "data": ["a warm film"]}]}).encode()
            problem = problem_with_error(api, *post(node, api.path, body), REFUSED)
            if problem:
                problems.append(f"\nJSON, shape {shape!r:.60}: {problem}")
        for path in ("/v2/models/" + "x" * 8000 + "/infer", "/v2/models/%00/infer", "/v2/models/../infer", "/v2/models/level1/versions/99/infer", "/v2/models//infer"):
            problem = problem_with_error(api, *post(node, path, api.body(GOOD_TEXT)), {400, 404, 414})
            if problem:
                problems.append(f"\n{path[:40]}: {problem}")
        return problems

    with serving() as node:
        headers, body = binary_infer([("text", [1], "BYTES", 15)], element(b"a warm film"))
        status, answer = post(node, api.path, body, headers)
        check(status == 200, "a good binary request:", status, answer[:300])
        twice(node, attack)


# Crowds.


def open_many(node, count):
    connections = []
    for _ in range(count):
        s = socket.socket()
        s.connect(("127.0.0.1", node.port))
        connections.append(s)
    return connections


def close_all(connections):
    for s in connections:
        s.close()


def rests(node, what):
    """It takes little processor time while nothing is to be done."""
    before = processor_s(node)
    time.sleep(1)
    used = processor_s(node) - before
    check(used < 0.5, what, "it spins:", used, "s of processor time in a second")


def slow_senders_disturb_nobody():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(2000, (hard if hard != resource.RLIM_INFINITY else 10 ** 6) - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 100), hard))
    with serving() as node:
        connections = open_many(node, wanted)
        head = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        for i, s in enumerate(connections):
            s.sendall(head[:10] if i % 2 else head + b'{"text"')
        for byte in head[10:16]:
            for i, s in enumerate(connections):
                s.sendall(b"%c" % byte if i % 2 else b" ")
            time.sleep(0.2)
        rests(node, "with slow senders")
        check(node.metric("rung_connections") >= wanted, "connections:", node.metric("rung_connections"))
        # Those with a whole head are told after the time to send; all of them are closed.
        for s in connections[::2]:
            s.settimeout(30)
            check(parse(s.recv(4096))[0] == 408, "no 408")
        check(wait_until(lambda: node.metric("rung_connections") < 10), "connections are left:", node.metric("rung_connections"))
        close_all(connections)


def slow_readers_disturb_nobody():
    with serving() as node:
        body = APIS["rung"].list_body(64)
        request = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        connections = []
        for _ in range(100):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.connect(("127.0.0.1", node.port))
            s.sendall(request * 4)
            connections.append(s)
        time.sleep(0.5)
        check(wait_until(lambda: node.metric("rung_requests_in_flight") < 3), "requests are left")
        rests(node, "with slow readers")
        close_all(connections)
        check(wait_until(lambda: node.metric("rung_connections") < 10), "connections are left:", node.metric("rung_connections"))


def few_descriptors_are_enough():
    with serving() as node:
        held = open_many(node, 2)
        resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        connections = open_many(node, 200)
        rests(node, "out of descriptors")
        close_all(connections)
        close_all(held)
        check(wait_until(lambda: node.classify(APIS["rung"].body(GOOD_TEXT))[0] == 200), "no new connection is served")


CASES = [texts_are_refused_or_served, bodies_are_refused, heads_are_refused, paths_and_methods_are_refused, v2_requests_that_lie_are_refused,
         slow_senders_disturb_nobody, slow_readers_disturb_nobody, few_descriptors_are_enough]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[2:]))
