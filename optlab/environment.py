"""What computed a result: versions, machine, device, and the commit of optlab's working tree."""

import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optlab

#: Variables of the environment that libraries read before they compute.
VARIABLES = (
    *("MKL_CBWR", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"),
    *("NVIDIA_TF32_OVERRIDE", "PYTHONHASHSEED", "CC", "CXX"),
)


def usable_cores() -> int:
    """Return how many cores this process may use, where the system says so, or has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(device: str = "cpu", plugins: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a result depends on beside its configuration.

    Args:
        device: Device of the run, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        plugins: Modules that were imported for the run.

    Returns:
        ``versions`` (by package; of a plugin its version, or a digest of its file), ``platform``,
        ``cpu``, ``threads`` (of torch inside one operation), ``flags``, ``device`` (in words),
        ``commit`` and ``dirty`` (None outside git).
    """
    import torch  # here, so that naming this module costs nothing

    commit, dirty = _git_state(Path(optlab.__file__).parent)
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": importlib.metadata.version("numpy"),
            "optlab": optlab.__version__,
            **{name: _plugin_version(name) for name in plugins},
        },
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "flags": flags(),
        "device": device_name(device),
        "commit": commit,
        "dirty": dirty,
    }


def flags() -> dict[str, str]:
    """Return settings of this process and its libraries that can change the bits of a result.

    Variables of the environment are among them where they are set.
    """
    import torch

    from optlab.compiler import c_compiler

    backends = torch.backends
    found = {
        "c_compiler": c_compiler(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_benchmark": backends.cudnn.benchmark,
        "cpu_capability": backends.cpu.get_cpu_capability(),
        **{name: os.environ[name] for name in VARIABLES if name in os.environ},
    }
    return {name: str(value) for name, value in found.items()}


def _plugin_version(name: str) -> str:
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if version := getattr(module, "__version__", None):
        return str(version)
    if path is None:
        return "unknown"
    return f"file {hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}"


def device_name(device: str) -> str:
    """Return the name of a device in words, such as ``"NVIDIA H200"``."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name()


def recorded(device: str, plugins: Sequence[str] = ()) -> dict[str, Any]:
    """Return what of `environment` an `optlab.results.RunResult` holds."""
    found = environment(device, plugins)
    del found["cpu"]  # it is the device, or had little part in the result
    return found


@functools.cache
def cpu_name() -> str:
    """Return the processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@functools.cache
def code_digest(plugins: tuple[str, ...] = ()) -> str:
    """Return 16 hexadecimal digits of all code that computes a run: optlab's own and its plugins'.

    Args:
        plugins: Modules that were imported for the run.
    """
    own = Path(optlab.__file__).parent
    kinds = ("*.py", "*.c", "*.cpp", "*.h")
    files = sorted(path for kind in kinds for path in own.rglob(kind))
    files += [Path(file) for name in plugins if (file := sys.modules[name].__file__)]
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return (commit, dirty) of the working tree that tracks ``folder``, or (None, None).

    Asked once per process: later changes to the files do not change the code that is loaded.
    """
    # An installed copy may lie inside somebody else's repository; only tracked files are ours.
    if not _git(folder, "ls-files", "--", "__init__.py"):
        return None, None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None, None
    changes = _git(folder, "status", "--porcelain")
    return commit, None if changes is None else changes != ""


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        finished = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout.strip() if finished.returncode == 0 else None
