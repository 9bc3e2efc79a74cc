#!/usr/bin/env python3
"""nodes.py RUNG: the levels as processes, end to end: answers as in one process, errors, faults, drain and reload. Prints cases as cmocka does."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from nodes_lib import ROOT, Cascade, Node, check, in_thread, review_lines, reviews, run_cases, wait_until, without_times

RUNG = os.path.realpath(sys.argv[1])
TINY = os.path.join(ROOT, "tests", "golden", "tiny-bert")
PATIENT = {"extra": ["--deadline", "300s", "--limits.queue", "60s"], "upstream": ["--upstream.deadline", "200s"]}  # sanitizers and busy machines are slow
SHORT = reviews(20, 640) + reviews(2)


def in_process(policy, rows, extra=()):
    """The lines of `rung classify --json`."""
    lines = "".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in rows)
    done = subprocess.run([RUNG, "classify", "--json", "--policy", policy, *extra], input=lines.encode(), capture_output=True,
                          env={**os.environ, "RUNG_DATA": ROOT}, check=True)
    return done.stdout.splitlines()


def check_error(answer, status, *texts):
    code, body = answer
    check(code == status, "status", code, "instead of", status, body[:300])
    message = json.loads(body)["error"]
    check("\n" not in message, "more than one line:", message)
    for text in texts:
        check(text.lower() in message.lower(), repr(message), "does not say", repr(text))


# Cases. Each is a function without arguments; what it starts, it stops.


def answers_are_those_of_one_process():
    levels = set()
    for policy in ("rung", "paper", "tabi", "tangobert", "single"):
        with Cascade(RUNG, extra=["--policy", policy, *PATIENT["extra"]], upstream=PATIENT["upstream"]) as cascade:
            for (row, text), line in zip(SHORT, in_process(policy, SHORT)):
                status, body = cascade.nodes[1].classify({"id": row, "text": text})
                check(status == 200, status, body)
                check(without_times(body) == without_times(line), policy, row, "\n", body, "\n", line)
                levels.add(json.loads(body)["level"])
    check(levels == {1, 2, 3}, levels)


def a_request_may_name_its_policy():
    with Cascade(RUNG, **PATIENT) as cascade:
        for policy in ("tabi", "single"):
            for (row, text), line in zip(SHORT[:4], in_process(policy, SHORT)):
                answer = json.loads(cascade.nodes[1].classify({"id": row, "text": text, "policy": policy})[1])
                expected = json.loads(line)
                for key in ("label", "probabilities", "level"):
                    check(answer[key] == expected[key], policy, answer, expected)


def findings(line):
    """What was found, without what anything took or cost: what was sent without need depends on what came first."""
    answer = json.loads(line)
    del answer["latency_ms"]
    for level in answer["levels"]:
        for key in ("compute_ms", "queue_ms", "link_ms", "bytes_up", "bytes_down", "kept_words"):
            del level[key]
    return answer


def compare_findings(flags, rows):
    """The answers of three nodes that run with these flags, which are those of one process."""
    answers = []
    with Cascade(RUNG, extra=[*flags, *PATIENT["extra"]], upstream=PATIENT["upstream"]) as cascade:
        for (row, text), line in zip(rows, in_process("rung", rows, flags)):
            status, body = cascade.nodes[1].classify({"id": row, "text": text})
            check(status == 200, status, body)
            check(findings(body) == findings(line), flags, row, "\n", body, "\n", line)
            answers.append(json.loads(body))
        for node in cascade.nodes.values():
            check(wait_until(lambda: node.metric("rung_upstream_in_flight") == 0), "a call is left")
    return answers


# So that some of a few short reviews go up.
SELDOM_SURE = ["--policy.offload.threshold", "0.97"]


def levels_that_are_asked_ahead_do_not_change_answers():
    rows = reviews(40, 640)
    late, ahead = (compare_findings(["--policy.offload.speculate", share, "--policy.exit.rule", "off", *SELDOM_SURE], rows)
                   for share in ("0.001", "1"))
    for a, b in zip(late, ahead):
        check(a["label"] == b["label"] and a["probabilities"] == b["probabilities"] and a["level"] == b["level"], a, b)
    used = [b for b in ahead if b["level"] > 1]
    in_vain = [b for b in ahead if b["level"] == 1]
    check(used and in_vain, len(used), len(in_vain))
    check(all(b["levels"][0]["bytes_up"] > 0 for b in used), used[0])
    check(all(a["levels"][0]["bytes_up"] == 0 for a in late if a["level"] == 1), "sent without need")


def levels_are_passed_by():
    answers = compare_findings(["--policy.offload.skip", "0.9", *SELDOM_SURE], reviews(40, 640))
    passed = [a for a in answers if a["level"] == 3 and a["levels"][1]["exit_layer"] == 0]
    check(passed and len(passed) < len([a for a in answers if a["level"] > 1]), len(passed))
    check(all("confidence" not in a["levels"][1] for a in passed), passed[0])


def exits_send_up_early():
    answers = compare_findings(["--policy.offload.early", "0.9", *SELDOM_SURE], reviews(40, 640))
    early = [a for a in answers if a["levels"][0]["exit_layer"] < a["levels"][0]["layers"] and a["level"] > 1]
    check(early, "none left early")


def policies_with_a_number_travel_by_name():
    with Cascade(RUNG, **PATIENT) as cascade:
        for policy, level in (("cocktail", 3), ("single(1)", 1), ("single(2)", 2), ("single(3)", 3), ("layer-skip(2)", None)):
            for (row, text), line in zip(SHORT[:6], in_process(policy, SHORT[:6])):
                status, body = cascade.nodes[1].classify({"id": row, "text": text, "policy": policy})
                check(status == 200, status, body)
                check(findings(body) == findings(line), policy, row, "\n", body, "\n", line)
                check(level in (None, json.loads(body)["level"]), policy, body)
        check_error(cascade.nodes[1].classify({"text": "x", "policy": "single(4)"}), 422, "policy", "single(4)")


def several_inputs_are_answered_in_a_list():
    with Cascade(RUNG, **PATIENT) as cascade:
        status, body = cascade.nodes[1].classify({"inputs": [{"id": row, "text": text} for row, text in SHORT]})
        check(status == 200, status, body)
        answers = json.loads(body)
        check([a["id"] for a in answers] == [row for row, _ in SHORT], "order")
        for answer, line in zip(answers, in_process("rung", SHORT)):
            expected = json.loads(line)
            check(answer["label"] == expected["label"] and answer["probabilities"] == expected["probabilities"], answer)
        check(cascade.stop() == {1: 0, 2: 0, 3: 0}, "exit codes")


def several_clients_get_their_own_answers():
    rows = reviews(48, 700)
    with Cascade(RUNG, **PATIENT) as cascade:
        expected = {json.loads(line)["id"]: without_times(line) for line in in_process("rung", rows)}

        def client(part):
            connection = cascade.nodes[1].connect()
            bad = []
            for row, text in part:
                connection.request("POST", "/v1/classify", json.dumps({"id": row, "text": text}))
                body = connection.getresponse().read()
                if without_times(body) != expected[row]:
                    bad.append((row, body))
            connection.close()
            return bad

        handles = [in_thread(client, rows[i::8]) for i in range(8)]
        for handle in handles:
            bad = handle.join(120)
            check(bad == [], "answers differ under load:", bad and bad[0], bad and expected[bad[0][0]])


def one_model_alone():
    node = Node(RUNG, ["-m", TINY])
    try:
        status, body = node.classify({"text": "a warm film"})
        check(status == 200 and json.loads(body)["level"] == 1, status, body)
        check(json.loads(body)["id"] == "0", body)
        status, body = node.classify({"inputs": ["one", "two"]})
        check(status == 200 and [a["id"] for a in json.loads(body)] == ["0", "1"], body)
        status, body = node.classify({"text": "a film", "text_pair": "a warm film"})
        check(status == 200 and json.loads(body)["levels"][0]["words"] == 5, body)
        level = json.loads(node.get("/v1/level")[1])
        check(level["level"] == 1 and level["upstream"] is None and level["model"]["layers"] >= 1, level)
        check(node.get("/health") == (200, b'{"status":"ok"}'), node.get("/health"))
    finally:
        check(node.stop() == 0, "exit code", node.stderr())


def wrong_requests_are_refused_by_name():
    node = Node(RUNG, ["-m", TINY, "--limits.inputs", "3", "--limits.body", "64KiB"])
    try:
        check_error(node.classify(b""), 400)
        check_error(node.classify(b"{"), 400, "json")
        check_error(node.classify(b"[1]"), 400, "object")
        check_error(node.classify({}), 422, "text")
        check_error(node.classify({"text": 7}), 422, "text", "string")
        check_error(node.classify({"text": ""}), 422, "text")
        check_error(node.classify({"text": "x", "colour": 1}), 422, "colour")
        check_error(node.classify({"text": "x", "policy": "no such"}), 422, "policy", "no such")
        check_error(node.classify({"text": "x", "target": "a"}), 422, "target")
        check_error(node.classify({"inputs": []}), 422, "inputs")
        check_error(node.classify({"inputs": ["a"] * 4}), 413, "inputs", "3")
        check_error(node.classify({"inputs": ["a", {"text": 1}]}), 422, "inputs[1].text")
        check_error(node.classify(b'{"text":"\xff"}'), 400, "0xff")
        check_error(node.classify(b'{"text":"\\ud800"}'), 400)
        check_error(node.classify(b'{"text":' + b"[" * 20000 + b"]" * 20000 + b"}"), 400)
        check_error(node.classify({f"k{i}": 1 for i in range(5000)}), 422, "k0")
        check_error(node.classify({"text": "x" * 70000}), 413, "65536")
        check_error(node.classify({"text": "word " * 2000, "truncate": False}), 413, "tokens")
        check(node.classify({"text": "word " * 2000})[0] == 200, "a long text is cut")
        check_error(node.classify({"text": "x"}, {"grpc-timeout": "soon"}), 400, "grpc-timeout")
        check_error(node.request("GET", "/v1/classify")[:2], 405, "POST")
        check_error(node.request("POST", "/metrics", b"")[:2], 405, "GET")
        check_error(node.request("GET", "/nothing")[:2], 404, "no such path")
        check(node.classify({"text": "still fine"})[0] == 200, "still serves")
    finally:
        check(node.stop() == 0, "exit code", node.stderr())


def broken_http_is_refused():
    node = Node(RUNG, ["-m", TINY])

    def raw(data, wait=10):
        with socket.create_connection(("127.0.0.1", node.port), wait) as s:
            s.sendall(data)
            s.settimeout(wait)
            got = b""
            try:
                while chunk := s.recv(65536):
                    got += chunk
            except (ConnectionResetError, socket.timeout):
                pass
            return got

    try:
        head = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\n"
        body = b'{"text":"x"}'
        for bad in (head + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
                    head + b"Content-Length: 12\r\nContent-Length: 13\r\n\r\n" + body,
                    head + b"X: " + b"y" * 100000 + b"\r\n\r\n",
                    b"\0\1\2\3 / HTTP/1.1\r\n\r\n"):
            reply = raw(bad)
            check(reply == b"" or re.match(rb"HTTP/1.[01] (400|413|431)", reply), bad[:80], reply[:120])
        chunks = b"".join(b"1\r\n" + bytes([c]) + b"\r\n" for c in body) + b"0\r\n\r\n"
        reply = raw(head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        check(reply.startswith(b"HTTP/1.1 200"), reply[:200])
        check(node.classify({"text": "still fine"})[0] == 200, "still serves")
    finally:
        check(node.stop() == 0, "exit code", node.stderr())


def metrics_count():
    with Cascade(RUNG, **PATIENT) as cascade:
        first = cascade.nodes[1]
        text = first.get("/metrics")[1].decode()
        check('rung_requests_total{outcome="ok"} 0' in text, text[:2000])
        check('rung_degraded_total{reason="unreachable"} 0' in text, text[:2000])
        first.classify({"text": "fine", "policy": "single"})
        check(first.metric('rung_requests_total{outcome="ok"}') == 1, "ok")
        check(first.metric('rung_answers_total{level="3"}') == 1, first.get("/metrics"))
        check(cascade.nodes[3].metric('rung_requests_total{outcome="ok"}') == 1, "at the top")
        for line in first.get("/metrics")[1].decode().splitlines():
            check(re.match(r"^(#.*|[a-z_]+(\{[^}]*\})? [0-9.e+-]+(Inf|NaN)?)$", line), line)


def metrics_are_those_of_the_documentation():
    node = Node(RUNG, ["-m", TINY])
    try:
        printed = set(re.findall(r"^# TYPE (rung_[a-z_]+) ", node.get("/metrics")[1].decode(), re.MULTILINE))
    finally:
        node.stop()
    with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as file:
        text = file.read()
    table = "".join(line for line in text.split("## Metrics", 1)[1].split("Alert on", 1)[0].splitlines(True) if line.startswith("|"))
    described = set(re.findall(r"`(rung_[a-z_]+)`", table))
    check(printed == described, "printed but not described:", sorted(printed - described), "described but not printed:", sorted(described - printed))
    named = {re.sub("_bucket$", "", name) for name in re.findall(r"`?(rung_[a-z_]+)", text)}
    check(named <= printed, "named in the text only:", sorted(named - printed))


def the_next_level_dies_and_returns():
    with Cascade(RUNG) as cascade:
        first = cascade.nodes[1]
        ask = {"text": SHORT[0][1], "policy": "single"}
        check(json.loads(first.classify(ask)[1])["degraded"] is False, "before")
        cascade.nodes[2].kill()
        for _ in range(12):
            status, body = first.classify(ask)
            answer = json.loads(body)
            check(status == 200 and answer["degraded"] and answer["level"] == 1, body)
            check(answer["degraded_reason"] == "unreachable", body)
        cascade.restart(2)
        check(wait_until(lambda: not json.loads(first.classify(ask)[1])["degraded"]), "does not come back")
        check('reason=unreachable' in first.stderr() or '"unreachable"' in first.stderr(), first.stderr()[-500:])


def the_next_level_hangs():
    with Cascade(RUNG, upstream=["--upstream.deadline", "300ms"]) as cascade:
        first = cascade.nodes[1]
        cascade.nodes[2].process.send_signal(signal.SIGSTOP)
        try:
            status, body = first.classify({"text": SHORT[0][1], "policy": "single"})
            answer = json.loads(body)
            check(status == 200 and answer["degraded_reason"] == "deadline", body)
            status, body = first.classify({"text": SHORT[0][1], "policy": "single"}, {"grpc-timeout": "100m"})
            check(status in (200, 504), status, body)
        finally:
            cascade.nodes[2].process.send_signal(signal.SIGCONT)
        check(wait_until(lambda: json.loads(first.classify({"text": "x", "policy": "single"})[1])["level"] == 3), "back")


def garbage_from_above_is_no_answer():
    import http.server
    import threading

    replies = [b"", b"garbage", b"{}", b'{"levels":[]}', b'[1]', b'{"levels":[{"level":1}]}',
               b'{"levels":[{"level":3,"exit_layer":1,"layers":1,"confidence":2,"probabilities":[NaN,1]}],"wall_ms":1}',
               b'{"levels":[{"level":3,"exit_layer":1,"layers":1,"confidence":1,"probabilities":[0.5,7]}],"wall_ms":1}',
               b'{"levels":' + b"[" * 100000, b"x" * 3000000]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            data = replies[0]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                pass

        def log_message(self, *unused):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    node = Node(RUNG, ["--level", "1", "--upstream.addresses", f"http://127.0.0.1:{server.server_port}"])
    try:
        while replies:
            status, body = node.classify({"text": "so so", "policy": "single"})
            answer = json.loads(body)
            check(status == 200 and answer["degraded"] and answer["level"] == 1, replies[0][:80], body)
            check(answer["degraded_reason"] in ("bad reply", "unreachable"), body)
            replies.pop(0)
            if not replies:
                replies.append(b"{}")
                break
    finally:
        check(node.stop() == 0, node.stderr())
        server.shutdown()


def a_client_that_leaves_stops_the_work_above():
    # A link of two seconds: the request is on its way when the client leaves.
    with Cascade(RUNG, extra=["--deadline", "30s"], upstream=["--upstream.deadline", "20s"]) as cascade:
        slow = Node(RUNG, ["--level", "1", "--upstream.addresses", cascade.nodes[2].url, "--upstream.link.rtt", "4s",
                           "--upstream.link.up", "1Gbit/s", "--upstream.link.down", "1Gbit/s", "--upstream.deadline",
                           "20s", "--deadline", "30s"])
        try:
            body = json.dumps({"text": "so so", "policy": "single"}).encode()
            with socket.create_connection(("127.0.0.1", slow.port)) as s:
                s.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                check(wait_until(lambda: slow.metric("rung_upstream_in_flight") == 1), "never asked")
            check(wait_until(lambda: slow.metric('rung_requests_total{outcome="gone"}') == 1), "not seen to leave")
            check(slow.metric("rung_upstream_in_flight") == 0, "the call goes on")
            # Between nodes: the client of level 1 leaves while level 2 waits for level 3.
            cascade.nodes[3].process.send_signal(signal.SIGSTOP)
            with socket.create_connection(("127.0.0.1", cascade.nodes[1].port)) as s:
                s.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                check(wait_until(lambda: cascade.nodes[2].metric("rung_upstream_in_flight") == 1), "level 2 never asked")
            check(wait_until(lambda: cascade.nodes[2].metric("rung_upstream_in_flight") == 0), "level 2 goes on")
            check(cascade.nodes[2].metric('rung_requests_total{outcome="gone"}') == 1, "level 2 did not see it")
        finally:
            cascade.nodes[3].process.send_signal(signal.SIGCONT)
            check(slow.stop() == 0, slow.stderr())


def a_half_closed_client_gets_its_answer():
    with Cascade(RUNG, emulate=True, **PATIENT) as cascade:
        body = json.dumps({"text": SHORT[0][1], "policy": "single"}).encode()
        with socket.create_connection(("127.0.0.1", cascade.nodes[1].port), 30) as s:
            s.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                      % (len(body), body))
            s.shutdown(socket.SHUT_WR)
            got = b""
            while chunk := s.recv(65536):
                got += chunk
        check(b"HTTP/1.1 200" in got and b'"level":3' in got, got[:300])


def sigterm_finishes_what_was_accepted():
    with Cascade(RUNG, emulate=True, **PATIENT) as cascade:
        first = cascade.nodes[1]
        handle = in_thread(first.classify, {"text": SHORT[0][1], "policy": "single"})
        check(wait_until(lambda: first.metric("rung_upstream_in_flight") == 1, 10, 0.001), "never asked")
        first.process.send_signal(signal.SIGTERM)
        status, body = handle.join()
        check(status == 200 and json.loads(body)["level"] == 3, status, body)
        check(first.process.wait(60) == 0, "exit code", first.process.returncode, first.stderr())


def sighup_reloads_all_or_nothing():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "node.yaml")

        def write(threshold):
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(f"level: end\nmodel: {ROOT}/models/end.safetensors\ncalibration: {ROOT}/models/calibration.json\n"
                           f"policy:\n  name: rung\n  offload: {{threshold: {threshold}}}\n")
            os.rename(path + ".new", path)

        write(0.6)
        node = Node(RUNG, ["-c", path])
        try:
            threshold = lambda: json.loads(node.get("/v1/level")[1])["policy"]["threshold"]
            check(threshold() == 0.6, threshold())
            write(0.7)
            node.process.send_signal(signal.SIGHUP)
            check(wait_until(lambda: threshold() == 0.7), threshold())
            write("many")
            node.process.send_signal(signal.SIGHUP)
            check(wait_until(lambda: node.metric('rung_reloads_total{result="failed"}') == 1), "failure not counted")
            check(threshold() == 0.7 and "threshold" in node.stderr(), node.stderr())
            write(0.65)
            answers = in_thread(lambda: [node.classify({"text": t})[0] for _, t in reviews(20, 600)])
            for _ in range(5):
                node.process.send_signal(signal.SIGHUP)
                time.sleep(0.05)
            check(set(answers.join()) == {200}, "requests failed under reloads")
            check(wait_until(lambda: threshold() == 0.65), threshold())
        finally:
            check(node.stop() == 0, node.stderr())


def it_does_not_start_with_what_is_wrong():
    for arguments, text in ((["--level", "5"], "level"), (["--level", "1", "--listen", "nowhere"], "listen"),
                            (["--level", "1", "--listen", "0.0.0.0:0"], "insecure"),
                            (["--level", "1", "--upstream.addresses", "ftp://x"], "upstream"),
                            (["-m", "/no/such/model"], "/no/such/model"), (["-c", "/no/such.yaml"], "/no/such.yaml")):
        done = subprocess.run([RUNG, "serve", *arguments], capture_output=True, env={**os.environ, "RUNG_DATA": ROOT})
        check(done.returncode == 2 and done.stdout == b"", arguments, done)
        check(done.stderr.count(b"\n") == 1 and text in done.stderr.decode(), arguments, done.stderr)
    node = Node(RUNG, ["-m", TINY])
    try:
        done = subprocess.run([RUNG, "serve", "-m", TINY, "--listen", f"127.0.0.1:{node.port}"], capture_output=True)
        check(done.returncode == 1 and str(node.port) in done.stderr.decode(), done)
    finally:
        node.stop()


def deadlines_hold():
    with Cascade(RUNG, emulate=True) as cascade:
        status, body = cascade.nodes[1].classify({"text": SHORT[0][1], "policy": "single"}, {"x-envoy-expected-rq-timeout-ms": "30"})
        answer = json.loads(body)
        check(status == 504 or (status == 200 and answer["degraded"]), status, body)
        status, body = cascade.nodes[1].classify({"text": "x"}, {"grpc-timeout": "1n"})
        check_error((status, body), 504, "deadline")


def the_demo_ends_with_its_nodes():
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "few.jsonl")
        with open(data, "wb") as file:
            file.writelines([line for line in review_lines() if len(line) < 500][:4])
        once = subprocess.run([RUNG, "demo", "--once", "--data", data], capture_output=True,
                              env={**os.environ, "RUNG_DATA": ROOT})
        check(once.returncode == 0 and b"always-cloud" in once.stdout, once)
        demo = subprocess.Popen([RUNG, "demo", "--data", data], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, "RUNG_DATA": ROOT})
        pids = []
        url = None
        for line in demo.stdout:
            if found := re.search(rb"(http://\S+)\s+\(pid (\d+)\)", line):
                url = url or found[1].decode()
                pids.append(int(found[2]))
            if b"/metrics" in line:
                break
        check(len(pids) == 3, pids)
        os.kill(pids[2], signal.SIGKILL)
        os.set_blocking(demo.stderr.fileno(), False)
        said = []
        check(wait_until(lambda: said.append(demo.stderr.read() or b"") or b"level 3 (cloud) was ended" in b"".join(said)), said)
        os.set_blocking(demo.stderr.fileno(), True)
        done = subprocess.run(["python3", "-c", "import urllib.request,sys;print(urllib.request.urlopen(sys.argv[1],"
                               "b'{\"text\":\"so so\",\"policy\":\"single\"}').read().decode())", url + "/v1/classify"],
                              capture_output=True, check=True)
        check(json.loads(done.stdout)["degraded"], done.stdout)
        demo.send_signal(signal.SIGINT)
        check(demo.wait(30) == 0, demo.returncode)
        check(all(not os.path.exists(f"/proc/{pid}") for pid in pids), "processes are left")


CASES = [answers_are_those_of_one_process, a_request_may_name_its_policy,
         levels_that_are_asked_ahead_do_not_change_answers, levels_are_passed_by, exits_send_up_early,
         policies_with_a_number_travel_by_name, several_inputs_are_answered_in_a_list,
         several_clients_get_their_own_answers, one_model_alone,
         wrong_requests_are_refused_by_name, broken_http_is_refused, metrics_count,
         metrics_are_those_of_the_documentation, the_next_level_dies_and_returns, the_next_level_hangs, garbage_from_above_is_no_answer, a_client_that_leaves_stops_the_work_above,
         a_half_closed_client_gets_its_answer, sigterm_finishes_what_was_accepted, sighup_reloads_all_or_nothing,
         it_does_not_start_with_what_is_wrong, deadlines_hold, the_demo_ends_with_its_nodes]


if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[2:]))
