#!/usr/bin/env python3
"""idle_connections.py RUNG LOAD MODEL [--data FILE] [--idle 10000] [--rate 2000]: what idle keep-alive connections cost a node.

The node runs on the first processor, the generator on the second. In turn: Poisson traffic on a few connections alone, and the same beside many connections that asked once and
stay open. Prints the node's memory for each idle connection, both p99 of each round, and the median of their ratio. Exit code 1 beyond 16 KiB or 1.05.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def run_load(options, url, *arguments):
    command = ["taskset", "-c", "1", options.load, url, "--rate", str(options.rate), "--connections", "32", "--seconds", str(options.seconds), "--warm-up", "2", "--json",
               *arguments]
    if options.data:
        command += ["--data", options.data, "--rows", "300"]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    result = json.loads(output.splitlines()[-1])
    if result["refused"] + result["failed"] + result["lost"]:
        print(f"not all were answered: {result}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rung")
    parser.add_argument("load")
    parser.add_argument("model")
    parser.add_argument("--data", default="")
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    command = ["taskset", "-c", "0", options.rung, "serve", "-m", options.model, "--listen", "127.0.0.1:0", "--threads", "1", "--log.level", "error",
               "--limits.connections_per_client", "0"]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    ratios = []
    most = [0]
    try:
        url = node.stdout.readline().strip()
        run_load(options, url)
        before = resident_kib(node.pid)

        def watch():
            while node.poll() is None:
                most[0] = max(most[0], resident_kib(node.pid))
                time.sleep(0.2)

        threading.Thread(target=watch, daemon=True).start()
        for number in range(options.rounds):
            idle = ("--idle", str(options.idle), "--sources", "50")
            if number % 2 == 0:
                alone = run_load(options, url)
                beside = run_load(options, url, *idle)
            else:
                beside = run_load(options, url, *idle)
                alone = run_load(options, url)
            ratios.append(beside["ok_ms"]["p99"] / alone["ok_ms"]["p99"])
            print(f"round {number + 1}: p50 {alone['ok_ms']['p50']:.3f} and {beside['ok_ms']['p50']:.3f}, p99 {alone['ok_ms']['p99']:.3f} and "
                  f"{beside['ok_ms']['p99']:.3f} ms: {ratios[-1]:.3f}", flush=True)
    finally:
        node.terminate()
        node.wait(timeout=30)
    each = (most[0] - before) / options.idle
    print(f"{options.idle} idle connections: {each:.1f} KiB each ({before / 1024:.1f} to {most[0] / 1024:.1f} MiB); median ratio of p99 {statistics.median(ratios):.3f} "
          f"({min(ratios):.3f} to {max(ratios):.3f})")
    return 0 if each <= 16 and statistics.median(ratios) <= 1.05 else 1


if __name__ == "__main__":
    sys.exit(main())
