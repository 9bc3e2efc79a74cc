"""worker.py KIND DIR THREADS: one peer in a process of its own, so that its threads and settings reach no other engine. Started by latency.py.

One JSON object a line on stdin, one answer a line on stdout:
    {"prepare": [ids]}   compile and warm up                 -> {"logits": [...], "run_s": time of a warm run}
    {"burst": n}         n timed runs, after one that is not -> {"ms": [...]}
A failure is {"error": text}; the process lives on until stdin ends.
"""

import json
import os
import pathlib
import sys
import time
import warnings

WARM_UP_RUNS = 5


def timed(engine):
    started = time.perf_counter()
    engine.run()
    return time.perf_counter() - started


def answer(engine, question):
    if "prepare" in question:
        engine.prepare([question["prepare"]])
        logits = engine.run()[0].tolist()
        return {"logits": logits, "run_s": min(timed(engine) for _ in range(WARM_UP_RUNS))}
    engine.run()
    return {"ms": [1e3 * timed(engine) for _ in range(question["burst"])]}


def main():
    kind, directory, threads = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peers print is no answer
    warnings.simplefilter("ignore")
    engine = None
    try:
        from engines import KINDS

        engine_class, options = KINDS[kind]
        engine = engine_class(directory, threads, **options)
        line = {"ready": kind}
    except Exception as error:  # whatever a peer raises: it becomes a row that says so
        line = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(line), file=answers, flush=True)
    for question in sys.stdin if engine is not None else ():
        try:
            line = answer(engine, json.loads(question))
        except Exception as error:
            line = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(line), file=answers, flush=True)


if __name__ == "__main__":
    main()
