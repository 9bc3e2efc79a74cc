#!/usr/bin/env python3
"""overload.py RUNG LOAD MODEL [--data FILE] [--factor 10] [--seconds 60]: what a node does with many times as much as it can.

The node runs on the first processor with one thread, the generator (build/bench/load) on the second. First the peak: a closed loop of a few connections, in
which nothing is refused. Then Poisson arrivals at FACTOR times the peak, then at half of it. Prints goodput against the peak, how long refusals took, the node's memory
by time, and how long after the overload nothing was refused any more. Exit code 1 when a figure misses its limit.
"""

import argparse
import sys
import threading
import time

from pinned import node, resident_kib, run_load


class Memory(threading.Thread):
    """The node's resident memory, every half second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.samples, self.going = pid, [], True

    def run(self):
        start = time.monotonic()
        while self.going:
            self.samples.append((time.monotonic() - start, resident_kib(self.pid) / 1024))
            time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rung")
    parser.add_argument("load")
    parser.add_argument("model")
    parser.add_argument("--data", default="", help="texts, as JSON lines; otherwise one short sentence")
    parser.add_argument("--factor", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--peak-connections", default="16", help="of the closed loop")
    parser.add_argument("--node", nargs=argparse.REMAINDER, default=[], help="further options of the node")
    options = parser.parse_args()

    with node(options.rung, options.model, *options.node) as (process, url):
        closed = ["--arrivals", "closed", "--connections", options.peak_connections]
        peaks = [run_load(options.load, url, options.data, *closed, "--seconds", "10", "--warm-up", "2")[-1]]
        rate = peaks[0]["goodput"] * options.factor
        memory = Memory(process.pid)
        memory.start()
        lines = run_load(options.load, url, options.data, "--connections", "256", "--rate", f"{rate},{rate / options.factor / 2}", "--seconds",
                         f"{options.seconds},15", "--warm-up", "1", "--series")
        memory.going = False
        memory.join()
        peaks.append(run_load(options.load, url, options.data, *closed, "--seconds", "10", "--warm-up", "1")[-1])
    code = process.returncode

    peak = (peaks[0]["goodput"] + peaks[1]["goodput"]) / 2
    overload, after = [line for line in lines if line["kind"] == "phase"]
    seconds = [line for line in lines if line["kind"] == "second" and line["rate"] == after["rate"]]
    recovered = next((line["at_s"] - 1 for i, line in enumerate(seconds) if not any(later["refused"] for later in seconds[i:])), float("nan"))
    rss = [mib for at, mib in memory.samples if at <= options.seconds + 1]
    fifth = max(len(rss) // 5, 1)
    growth = sum(rss[-fifth:]) / fifth - sum(rss[fifth:2 * fifth]) / fifth
    share = overload["goodput"] / peak
    print(f"peak {peaks[0]['goodput']:.1f} and afterwards {peaks[1]['goodput']:.1f} requests/s (closed loop, {options.peak_connections} connections)")
    print(f"{options.factor:g} times as much for {options.seconds:g} s: {overload['sent'] / options.seconds:.0f}/s sent, {overload['goodput']:.1f}/s answered = "
          f"{share:.3f} of the peak; p99 of the answered {overload['ok_ms']['p99']:.1f} ms")
    print(f"refused {overload['refused']}: p50 {overload['refused_ms']['p50']:.2f}  p99 {overload['refused_ms']['p99']:.2f}  p99.9 "
          f"{overload['refused_ms']['p999']:.2f}  max {overload['refused_ms']['max']:.2f} ms; failed {overload['failed']}, lost {overload['lost']}")
    print(f"memory MiB: first {rss[0]:.1f}, most {max(rss):.1f}, last {rss[-1]:.1f}; second to last fifth of the time {growth:+.2f}")
    print(f"afterwards, at half of the peak: nothing refused from {recovered:.0f} s on; p99 {after['ok_ms']['p99']:.1f} ms; exit code {code}")
    good = share >= 0.9 and overload["refused_ms"]["p99"] < 5 and growth < 2 and recovered < 5 and code == 0 and overload["lost"] + overload["failed"] == 0
    print("within the limits" if good else "NOT within the limits")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
