#!/usr/bin/env python3
"""upstream_killed.py RUNG [--rate 50] [--seconds 20] [--deadline 2.0] [--characters 350]: kill -9 of the cloud's process under load, and its return.

Three nodes of the default cascade with its links emulated; requests arrive open-loop (Poisson, latency from the intended time) at the first one. The cloud is
killed after a third of the time and started again on its port after two thirds. Prints what became of the requests, by phase, and how long after
the return the first and the last degraded answer came. Exit code 1 when a request was not answered in its deadline, or when degraded answers
come later than 2 s after the return.
"""

import argparse
import json
import os
import queue
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "e2e"))
from nodes_lib import Cascade, reviews


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rung")
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--deadline", type=float, default=2.0)
    parser.add_argument("--policy", default="", help="of the requests; single: all of them need the cloud")
    parser.add_argument("--characters", type=int, default=350, help="of a review are sent: what the machine can compute at this rate")
    options = parser.parse_args()
    rows = [(row, text[: options.characters]) for row, text in reviews(200)]
    random.seed(1)
    results = []
    lock = threading.Lock()
    todo = queue.Queue()

    with Cascade(options.rung, extra=["--deadline", f"{options.deadline:g}s"], emulate=True) as cascade:
        first = cascade.nodes[1]

        def client():
            connection = first.connect(options.deadline + 5)
            while (item := todo.get()) is not None:
                intended, row, text = item
                body = {"id": row, "text": text}
                if options.policy:
                    body["policy"] = options.policy
                status, degraded, reason, level = 0, None, "", 0
                try:
                    connection.request("POST", "/v1/classify", json.dumps(body).encode())
                    reply = connection.getresponse()
                    answer = json.loads(reply.read())
                    status = reply.status
                    degraded, level = answer.get("degraded"), answer.get("level", 0)
                    reason = answer.get("degraded_reason", "")
                except OSError as error:
                    reason = repr(error)
                    connection.close()
                with lock:
                    results.append((intended, time.monotonic() - intended, status, degraded, reason, level))

        threads = [threading.Thread(target=client, daemon=True) for _ in range(64)]
        for thread in threads:
            thread.start()
        for row, text in rows[:20]:  # warm
            first.classify({"id": row, "text": text})
        start = time.monotonic()
        kill_at, back_at = start + options.seconds / 3, start + options.seconds * 2 / 3
        killed = returned = None
        next_s = start
        while next_s < start + options.seconds:
            now = time.monotonic()
            if killed is None and now >= kill_at:
                cascade.nodes[3].kill()
                killed = time.monotonic()
            if killed is not None and returned is None and now >= back_at:
                cascade.restart(3)
                returned = time.monotonic()
            if now < next_s:
                time.sleep(min(next_s - now, 0.005))
                continue
            row, text = random.choice(rows)
            todo.put((next_s, row, text))
            next_s += random.expovariate(options.rate)
        for _ in threads:
            todo.put(None)
        for thread in threads:
            thread.join(options.deadline + 10)
        sent = len(results)
        exit_codes = cascade.stop()

    late = [r for r in results if r[2] != 200 or r[1] > options.deadline]
    print(f"{sent} requests at {options.rate:g}/s for {options.seconds:g} s; policy {options.policy or 'as configured'}; "
          f"not answered in {options.deadline:g} s: {len(late)}")
    phases = (("before", start, killed), ("cloud gone", killed, returned), ("0-2 s after its return", returned, returned + 2),
              ("later", returned + 2, start + options.seconds + 60))
    print(f"{'phase':24} {'requests':>8} {'degraded':>8} {'from cloud':>10} {'p50 ms':>8} {'p99 ms':>8}")
    for name, begin, end in phases:
        part = [r for r in results if begin <= r[0] < end]
        times = sorted(r[1] * 1e3 for r in part) or [0]
        print(f"{name:24} {len(part):8} {sum(bool(r[3]) for r in part):8} {sum(r[5] == 3 for r in part):10} "
              f"{times[len(times) // 2]:8.1f} {times[min(len(times) - 1, len(times) * 99 // 100)]:8.1f}")
    degraded_after = [r[0] - returned for r in results if r[3] and r[0] >= returned]
    normal_after = [r[0] - returned for r in results if r[5] == 3 and r[0] >= returned]
    last = max(degraded_after, default=0.0)
    print(f"after the return: last degraded answer to a request of {last:.2f} s, first one from the cloud of "
          f"{min(normal_after, default=float('nan')):.2f} s; exit codes {exit_codes}")
    if late:
        print("late or lost:", late[:5])
    return 1 if late or last > 2 else 0


if __name__ == "__main__":
    sys.exit(main())
