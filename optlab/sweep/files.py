"""What runs of a stack leave in their folders, written without waiting for the disk.

The ledger does wait, and has all but weights and curves: what a power cut takes of the rest is
restored from it (`optlab.sweep.restore`). A file is whole or absent.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from optlab.results import CONFIG_FILE, RESULT_FILE, RunResult, result_text
from optlab.sweep.planned import PlannedRun
from optlab.sweep.run_folder import config_text

WEIGHTS_FILE = "weights.pt"


def put_configs(runs: Iterable[PlannedRun]) -> None:
    """Write ``config.yaml`` of every run."""
    for run in runs:
        run.folder.mkdir(parents=True, exist_ok=True)
        with _beside(run.folder / CONFIG_FILE) as path:
            path.write_text(config_text(run.config), encoding="utf-8")


def put_result(folder: Path, result: RunResult) -> None:
    """Write ``result.json`` of a run."""
    with _beside(folder / RESULT_FILE) as path:
        path.write_text(result_text(result), encoding="utf-8")


def put_weights(folder: Path, module: nn.Module) -> None:
    """Write the state dict of a module, on the CPU, for `torch.load` with ``weights_only=True``."""
    weights = {k: v.detach().cpu().clone() for k, v in module.state_dict().items()}
    with _beside(folder / WEIGHTS_FILE) as path:
        torch.save(weights, path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give a place to write to; what was written there is then moved to ``path``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
