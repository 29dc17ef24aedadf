"""How a stacked sweep is done: the section ``sweep`` of the configuration and the command's flags.

Nothing here changes a run's result, so nothing here is part of its identity.
"""

from dataclasses import dataclass, fields
from typing import Literal

from omegaconf import DictConfig, OmegaConf

from optlab.config import bind, unknown_name, validate
from optlab.sweep.engine import Wanted
from optlab.sweep.run_folder import Grid
from optlab.types import Count, Natural

Search = Literal["grid", "random", "halton"]

#: What the command gives and no configuration holds.
SUPPLIED = ("plan_only", "resume", "extend", "grid", "line")
NO_GRID = Grid((), ())


@dataclass(frozen=True)
class SweepSettings:
    """How the runs of a sweep are found and executed.

    Attributes:
        engine: ``"native"`` (C programs made from a run's step, CPU), ``"compiled"`` and
            ``"eager"`` (`torch.vmap` over runs, with and without `torch.compile`), ``"single"``
            (one run after another); ``"auto"`` takes what is quickest for each program.
        workers: Processes that take programs from the ledger.
        search: How ``interval(a,b)`` is searched: not at all (``"grid"``), at random, or by a
            scrambled Halton sequence.
        trials: Points of a search; None for a grid.
        checkpoint: Weights that every run leaves in its folder as ``weights.pt``: ``"none"``, those
            that it ends with (``"last"``), or those of its lowest validation loss (``"best"``).
        tensorboard_runs: Runs of the sweep that TensorBoard is given; None for all. See
            `optlab.sweep.tensorboard_runs`.
        plan_only: Print the plan and train nothing.
        resume: Do what is missing of a sweep that is there.
        extend: Add another grid to a sweep that is there.
        grid: What the sweep varies and holds.
        line: What was typed to start it.
    """

    engine: Wanted = "auto"
    workers: Count = 1
    search: Search = "grid"
    trials: Count | None = None
    checkpoint: Literal["none", "last", "best"] = "none"
    tensorboard_runs: Natural | None = 400
    plan_only: bool = False
    resume: bool = False
    extend: bool = False
    grid: Grid = NO_GRID
    line: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        validate(self, "sweep")


def settings_of(config: DictConfig, **flags: bool) -> SweepSettings:
    """Read the settings from a multirun's configuration.

    Args:
        config: The configuration that Hydra composed for the multirun.
        flags: What the command line said beside it.

    Raises:
        ConfigError: For an unknown key of ``sweep``, or a value that is not allowed.
    """
    section = OmegaConf.to_container(config.sweep, resolve=True)
    assert isinstance(section, dict)
    options = {str(key): value for key, value in section.items() if key != "dir"}
    typed = [field.name for field in fields(SweepSettings) if field.name not in SUPPLIED]
    for name in options:
        if name not in typed:
            raise unknown_name("option of sweep", name, ["dir", *typed])
    return SweepSettings(**bind(SweepSettings, {**options, **flags}, "sweep"))
