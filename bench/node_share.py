#!/usr/bin/env python3
"""node_share.py RUNG LOAD MODEL --data FILE [--rounds 5] [--rows 300]: a node's throughput as a share of what the engine does alone with the same texts.

In turn on the first processor: `rung bench --data` on one thread, and a node with one thread under a closed loop of a few connections, whose generator runs on the
second. Prints each round, and the median share. Exit code 1 when that is below 0.95.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from pinned import node, run_load


def bench(options):
    command = ["taskset", "-c", "0", options.rung, "bench", "-m", options.model, "--data", options.data, "--rows", str(options.rows), "--threads", "1",
               "--batch", "1", "--repeats", "2", "--json"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return json.loads(lines[-1])["texts_per_s"]


def serve(options):
    with node(options.rung, options.model, "--limits.queue", "10s") as (_, url):
        result = run_load(options.load, url, options.data, "--rows", str(options.rows), "--arrivals", "closed", "--connections", str(options.connections),
                          "--seconds", str(options.seconds))[-1]
    if result["refused"] + result["failed"] + result["lost"]:
        sys.exit(f"not all were answered: {result}")
    return result["goodput"], result["ok_ms"]["p50"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rung")
    parser.add_argument("load")
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    shares = []
    for number in range(options.rounds):
        before = bench(options)
        rate, p50 = serve(options)
        after = bench(options)
        shares.append(rate / ((before + after) / 2))
        print(f"round {number + 1}: bench {before:.1f} and {after:.1f} texts/s, node {rate:.1f} requests/s, p50 {p50:.1f} ms: "
              f"{shares[-1]:.3f}", flush=True)
        time.sleep(0.2)
    print(f"median share {statistics.median(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})")
    return 0 if statistics.median(shares) >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
