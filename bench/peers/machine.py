"""machine.py: what is measured on: processor, cores to pin to, commit, versions. Standard library only."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[2]
NOTED_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm")
PACKAGES = ("onnxruntime", "openvino", "nncf", "torch", "transformers", "tokenizers", "numpy")


def cpu_info():
    """First processor's model name and the flags that matter here."""
    name, flags = platform.machine(), set()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        key = key.strip()
        if key == "model name":
            name = value.strip()
        elif key in ("flags", "Features"):
            flags = set(value.split())
            break
    return name, [flag for flag in NOTED_FLAGS if flag in flags]


def has_vnni():
    return bool({"avx_vnni", "avx512_vnni", "asimddp"} & set(cpu_info()[1]))


def has_bf16():
    return bool({"avx512_bf16", "amx_bf16"} & set(cpu_info()[1]))


def whole_cores():
    """Processors that this process may use, one of each core: two on one core would share its multipliers."""
    allowed = os.sched_getaffinity(0)
    seen, cores = set(), []
    for cpu in sorted(allowed):
        path = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings = path.read_text().strip() if path.exists() else str(cpu)
        if siblings not in seen:
            seen.add(siblings)
            cores.append(cpu)
    return cores


def commit():
    def git(*arguments):
        return subprocess.run(["git", "-C", str(TREE), *arguments], capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "include", "meson.build")
    return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")


def describe(cores, rung):
    name, flags = cpu_info()
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "cpu": name,
        "flags": flags,
        "cores": cores,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit(),
        "rung": str(rung),
        "versions": versions,
        "load_average": os.getloadavg()[0],
    }
