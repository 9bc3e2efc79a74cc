#!/usr/bin/env python3
"""test_peers_rounds.py: how bench/peers takes turns and makes ratios, with engines that only answer. Standard library only."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "peers"))
import latency
import report
from process import EngineFailed


class Fake:
    def __init__(self, times, log=None, name="", failure=None):
        self.times, self.log, self.name, self.failure = iter(times), log, name, failure
        self.closed = False

    def prepare(self, ids):
        if self.failure:
            raise EngineFailed(self.failure)
        return {"run_s": 0.01, "logits": [float(len(ids)), 0.0]}

    def burst(self, runs):
        if self.log is not None:
            self.log.append(self.name)
        median = next(self.times)
        if median is None:
            raise EngineFailed("gone")
        return median, median / 2

    def close(self):
        self.closed = True


class Rounds(unittest.TestCase):
    def setUp(self):
        latency.SETTLE_S = 0

    def test_quantiles_are_interpolated(self):
        self.assertEqual(latency.quantiles([3.0]), [3.0, 3.0, 3.0])
        for value, expected in zip(latency.quantiles([30, 10, 20]), [20, 12, 28]):
            self.assertAlmostEqual(value, expected)

    def test_the_order_turns(self):
        log = []
        engines = {name: Fake([1, 1, 1], log, name) for name in "abc"}
        latency.rounds(engines, {}, dict.fromkeys("abc", 1), 3)
        self.assertEqual("".join(log), "abcbcacab")

    def test_ratios_are_taken_within_a_round(self):
        """Both engines are four times slower in one round; the ratio is 2 in each."""
        engines = {"rung-int8": Fake([1, 4, 1]), "openvino-int8": Fake([2, 8, 2])}
        times = latency.rounds(engines, {}, dict.fromkeys(engines, 5), 3)
        own, peer = latency.rows_of({"tokens": 8}, times, dict.fromkeys(engines, 5), {"rung-int8": None, "openvino-int8": [1.0]}, engines)
        self.assertEqual(peer["over_rung-int8"], [2, 2, 2])
        self.assertEqual((peer["ms"], peer["least_ms"], peer["tokens"]), (2, 1, 8))
        self.assertNotIn("over_rung-int8", own)

    def test_an_engine_that_fails_is_closed_and_named(self):
        bad = Fake([], failure="no kernel")
        engines, failed = {"good": Fake([]), "bad": bad}, {}
        runs, _ = latency.prepare(engines, failed, [1, 2], burst_s=0.1)
        self.assertEqual((list(engines), failed, runs), (["good"], {"bad": "no kernel"}, {"good": 10}))
        self.assertTrue(bad.closed)

    def test_an_engine_that_stops_leaves_the_others(self):
        stopping = Fake([1, None])
        engines, failed = {"good": Fake([1, 2, 3]), "stopping": stopping}, {}
        times = latency.rounds(engines, failed, dict.fromkeys(engines, 1), 3)
        self.assertEqual(([median for median, _ in times["good"]], list(times), failed), ([1, 2, 3], ["good"], {"stopping": "gone"}))
        self.assertTrue(stopping.closed)

    def test_lines_of_the_table(self):
        row = {"shape": "s", "threads": 1, "tokens": 16, "engine": "e", "ms": 2, "p10_ms": 1, "p90_ms": 3, "least_ms": 1}
        columns = report.LATENCY_HEAD[0].count("|")
        self.assertEqual(report.latency_line(row).count("|"), columns)
        self.assertEqual(report.latency_line({**row, "failed": "why"}).count("|"), columns)
        texts = {"threads": 1, "engine": "e", "texts_per_s": 2, "p10_texts_per_s": 1, "p90_texts_per_s": 3}
        self.assertEqual(report.texts_line(texts).count("|"), report.TEXTS_HEAD[0].count("|"))
        self.assertEqual(report.texts_line({**texts, "failed": "why"}).count("|"), report.TEXTS_HEAD[0].count("|"))


if __name__ == "__main__":
    unittest.main()
