"""What computed a result: versions, machine, device, and the commit of optlab's working tree."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import optlab


def usable_cores() -> int:
    """Return how many cores this process may use, where the system says so, or has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return what a result depends on beside its configuration.

    Args:
        device: Device of the run, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns:
        ``versions`` (by package), ``platform``, ``cpu``, ``threads`` (of torch inside one
        operation), ``device`` (in words), ``commit`` and ``dirty`` (None outside git).
    """
    import torch  # here, so that naming this module costs nothing

    commit, dirty = _git_state(Path(optlab.__file__).parent)
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": importlib.metadata.version("numpy"),
            "optlab": optlab.__version__,
        },
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "device": device_name(device),
        "commit": commit,
        "dirty": dirty,
    }


def device_name(device: str) -> str:
    """Return the name of a device in words, such as ``"NVIDIA H200"``."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name()


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
