"""process.py: engines as processes pinned to processors: the peers', which stay, and the program rung. Standard library only."""

import json
import os
import pathlib
import subprocess
import sys


class EngineFailed(Exception):
    """An engine cannot run or has stopped; the text says why."""


class PeerProcess:
    """A script beside this file that answers JSON lines; its first line says that it is ready."""

    def __init__(self, script, arguments, cores):
        command = [sys.executable, str(pathlib.Path(__file__).with_name(script)), *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            self.close()
            raise EngineFailed(answer["error"].splitlines()[0])
        return answer

    def ask(self, question):
        try:
            print(json.dumps(question), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # read() says that it ended
        return self.read()

    def close(self):
        """Once or more often."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.process.wait()


def serve(make_engine, answer):
    """The other side, in the script: answers questions until stdin ends. What the peers print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def attempt(work, *arguments):
        try:
            return work(*arguments), None
        except Exception as error:  # whatever a peer raises becomes a row that says so
            return None, {"error": f"{type(error).__name__}: {error}"}

    engine, failure = attempt(make_engine)
    print(json.dumps(failure or {"ready": True}), file=answers, flush=True)
    for question in sys.stdin if engine is not None else ():
        line, failure = attempt(answer, engine, json.loads(question))
        print(json.dumps(failure or line), file=answers, flush=True)


def has_option(program, command, option):
    usage = subprocess.run([program, command, "--help"], capture_output=True, text=True).stdout
    return option in usage.split()


def run_json(command, cores, stdin=None):
    """The last line of what the program prints, as JSON."""
    done = subprocess.run(
        command, stdin=stdin, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cores)
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise EngineFailed(lines[-1] if lines else f"exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
