"""worker.py KIND DIR THREADS: one peer in a process of its own, so that its threads and settings reach no other engine. Started by latency.py.

One JSON object a line on stdin, one answer a line on stdout:
    {"prepare": [ids]}   compile and warm up                 -> {"logits": [...], "run_s": time of a warm run}
    {"burst": n}         n timed runs, after one that is not -> {"ms": [...]}
A failure is {"error": text}.
"""

import pathlib
import sys
import time
import warnings

from process import serve

WARM_UP_RUNS = 5
WARM_UP_S = 2.0  # of which slow engines have no need
SLOW_RUN_S = 0.5  # what a run before the burst would not make warmer


def timed(engine):
    started = time.perf_counter()
    engine.run()
    return time.perf_counter() - started


def warm_up(engine):
    """The least time of a few runs."""
    times = [timed(engine)]
    while len(times) < WARM_UP_RUNS and sum(times) < WARM_UP_S:
        times.append(timed(engine))
    return min(times)


def answer(engine, question):
    if "prepare" in question:
        engine.prepare([question["prepare"]])
        logits = engine.run()[0].tolist()
        engine.run_s = warm_up(engine)
        return {"logits": logits, "run_s": engine.run_s}
    if engine.run_s < SLOW_RUN_S:
        engine.run()
    return {"ms": [1e3 * timed(engine) for _ in range(question["burst"])]}


def make_engine():
    from engines import KINDS

    engine_class, options = KINDS[sys.argv[1]]
    return engine_class(pathlib.Path(sys.argv[2]), int(sys.argv[3]), **options)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(make_engine, answer)
