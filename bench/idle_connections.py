#!/usr/bin/env python3
"""idle_connections.py RUNG LOAD MODEL [--data FILE] [--idle 10000] [--rate 2000]: what idle keep-alive connections cost a node.

The node runs on the first processor, the generator on the second. In turn: Poisson traffic on a few connections alone, and the same beside many connections that asked once and
stay open. Prints the node's memory for each idle connection, both p99 of each round, and the median of their ratio. Exit code 1 beyond 16 KiB or 1.05.
"""

import argparse
import statistics
import sys
import threading
import time

from pinned import node, resident_kib, run_load


def traffic(options, url, *arguments):
    result = run_load(options.load, url, options.data, "--rows", "300", "--rate", str(options.rate), "--connections", "32", "--seconds", str(options.seconds),
                      "--warm-up", "2", *arguments)[-1]
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
    ratios = []
    most = [0]
    with node(options.rung, options.model) as (process, url):
        traffic(options, url)
        before = resident_kib(process.pid)

        def watch():
            while process.poll() is None:
                most[0] = max(most[0], resident_kib(process.pid))
                time.sleep(0.2)

        threading.Thread(target=watch, daemon=True).start()
        for number in range(options.rounds):
            idle = ("--idle", str(options.idle), "--sources", "50")
            if number % 2 == 0:
                alone = traffic(options, url)
                beside = traffic(options, url, *idle)
            else:
                beside = traffic(options, url, *idle)
                alone = traffic(options, url)
            ratios.append(beside["ok_ms"]["p99"] / alone["ok_ms"]["p99"])
            print(f"round {number + 1}: p50 {alone['ok_ms']['p50']:.3f} and {beside['ok_ms']['p50']:.3f}, p99 {alone['ok_ms']['p99']:.3f} and "
                  f"{beside['ok_ms']['p99']:.3f} ms: {ratios[-1]:.3f}", flush=True)
    each = (most[0] - before) / options.idle
    print(f"{options.idle} idle connections: {each:.1f} KiB each ({before / 1024:.1f} to {most[0] / 1024:.1f} MiB); median ratio of p99 {statistics.median(ratios):.3f} "
          f"({min(ratios):.3f} to {max(ratios):.3f})")
    return 0 if each <= 16 and statistics.median(ratios) <= 1.05 else 1


if __name__ == "__main__":
    sys.exit(main())
