"""pinned.py: a node with one thread on the first processor and the generator of load on the second, for overload.py, node_share.py and idle_connections.py."""

import contextlib
import json
import subprocess


@contextlib.contextmanager
def node(rung, model, *more):
    """A node of this model: its process and its URL. Ends with its drain; process.returncode is there then."""
    command = ["taskset", "-c", "0", rung, "serve", "-m", model, "--listen", "127.0.0.1:0", "--threads", "1", "--log.level", "error",
               "--limits.connections_per_client", "0", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(timeout=30)


def run_load(load, url, data, *arguments):
    """The JSON objects that the generator prints."""
    command = ["taskset", "-c", "1", load, url, "--json", *(["--data", data] if data else []), *arguments]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
