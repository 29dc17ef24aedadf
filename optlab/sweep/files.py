"""What runs of a stack leave in their folders, written without waiting for the disk.

The ledger does wait, and has all but weights and curves: what a power cut takes of the rest is
restored from it (`optlab.sweep.restore`). A file is whole or absent.
"""

import io
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from optlab.results import CONFIG_FILE, RESULT_FILE, RunResult, named, result_text
from optlab.sweep.planned import PlannedRun
from optlab.sweep.run_folder import config_text

WEIGHTS_FILE = "weights.pt"


def put_configs(runs: Iterable[PlannedRun]) -> None:
    """Write ``config.yaml`` of every run."""
    for run in runs:
        run.folder.mkdir(parents=True, exist_ok=True)
        _put(run.folder / CONFIG_FILE, config_text(run.config).encode())


def put_result(folder: Path, result: RunResult) -> None:
    """Write ``result.json`` of a run."""
    _put(folder / RESULT_FILE, result_text(result).encode())


def put_weights(folder: Path, module: nn.Module) -> None:
    """Write the state dict of a module, on the CPU, for `torch.load` with ``weights_only=True``."""
    weights = {k: v.detach().cpu().clone() for k, v in module.state_dict().items()}
    content = io.BytesIO()  # on a full disk PyTorch's own writer raises no OSError
    torch.save(weights, content)
    _put(folder / WEIGHTS_FILE, content.getbuffer())


def _put(path: Path, content: bytes | memoryview) -> None:
    """Write beside ``path``, then move there.

    Raises:
        OSError: Naming the file; what stood there stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with named(path):
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
