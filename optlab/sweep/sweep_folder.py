"""Hydra tells it of every multirun that begins; it knows where the latest one went."""

from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from optlab.sweep import run_folder
from optlab.sweep.refusal import FolderTakenError, SweepRefused

#: Classes of `optlab.sweep.plugin` by their place in Hydra's configuration.
OWN = {"sweeper": "StackedSweeper", "launcher": "StackedLauncher"}
#: Keys of ``sweep`` that the sweeper reads; the launcher reads the others.
OF_SWEEPER = ("sweep.search", "sweep.trials")


class SweepFolder(Callback):
    """Remembers the folder of the multirun that Hydra started, and keeps other sweeps out of it.

    Attributes:
        latest: The folder, however it was given; None while nothing was or will be put there.
        alone: The folder of a run that is no multirun's, likewise.
        grid: What the present sweep varies and holds.
        line: What was typed to start it.
    """

    latest: ClassVar[Path | None] = None
    alone: ClassVar[Path | None] = None
    grid: ClassVar[run_folder.Grid] = run_folder.Grid((), ())
    line: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def begin(cls, grid: run_folder.Grid, line: tuple[str, ...]) -> None:
        """Forget the sweep before; this one is about to start."""
        cls.latest, cls.alone, cls.grid, cls.line = None, None, grid, line

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder for the grid before the first job; a stacked sweep's ledger does that.

        Raises:
            SweepRefused: When another grid has it, or a word would do nothing; nothing was touched.
        """
        _refuse_idle_words(config)
        if is_stacked(config):
            return
        folder = Path(str(config.hydra.sweep.dir))
        try:
            run_folder.claim_for_grid(folder, SweepFolder.grid)
        except FolderTakenError as error:
            raise SweepRefused(str(error)) from error
        SweepFolder.latest = folder


def is_stacked(config: DictConfig) -> bool:
    """Say whether optlab's launcher will get the jobs of this multirun."""
    return _is_own(config, "launcher")


def _is_own(config: DictConfig, part: str) -> bool:
    return str(config.hydra[part].get("_target_")).rpartition(".")[2] == OWN[part]


def _refuse_idle_words(config: DictConfig) -> None:
    """Refuse words of ``sweep`` that mean nothing to Hydra's own sweeper or launcher."""
    words: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    for word in words:
        key = str(word).lstrip("+").partition("=")[0]
        part = "sweeper" if key in OF_SWEEPER else "launcher"
        if key.startswith("sweep.") and key != "sweep.dir" and not _is_own(config, part):
            raise SweepRefused(
                f"{key} would do nothing: it is for optlab's {part}, and this sweep has another; "
                f"use hydra/{part}=optlab, or leave it out"
            )
