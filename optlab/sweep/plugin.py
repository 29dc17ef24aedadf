"""Hydra's sweeper and launcher for stacked sweeps: ``hydra/sweeper=optlab hydra/launcher=optlab``.

`optlab sweep` takes both. Either goes with Hydra's other half: the sweeper lists what a search
draws to any launcher, and the launcher stacks what any sweeper lists.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from optlab.config import ConfigError
from optlab.results import RESULT_FILE, read_result
from optlab.sweep.compose import compose
from optlab.sweep.planned import PlannedRun
from optlab.sweep.run_folder import LEDGER_FILE
from optlab.sweep.search import job_words
from optlab.sweep.settings import SweepSettings, settings_of
from optlab.sweep.sweep_folder import SweepFolder

NAME = "optlab"
LAUNCHER_FLAGS = ("plan_only", "resume", "extend")

#: Returns the words of every job, from Hydra's loader, the configuration of the multirun and the
#: words of its line.
Lister = Callable[[ConfigLoader, DictConfig, Sequence[Override]], Sequence[tuple[str, ...]]]


class StackedSweeper(Sweeper):
    """Lists the jobs of a grid, crossed with the points of a search.

    Attributes:
        lister: What lists them instead, while `listed_by` says so.

    Args:
        params: Overrides that stand before those of the command line, as with Hydra's own sweeper.
    """

    lister: ClassVar[Lister | None] = None

    def __init__(self, params: Mapping[str, str] | None = None) -> None:
        self.params = dict(params or {})

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra knows, and make the launcher."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Give all jobs to the launcher at once, and return what it returned.

        Raises:
            ConfigError: For jobs that cannot be composed, before any is started.
        """
        assert self.hydra_context is not None
        assert self.launcher is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        words = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        settings = settings_of(self.config)
        overrides = OverridesParser.create(config_loader=loader).parse_overrides(words)
        if StackedSweeper.lister is None:
            jobs = job_words(overrides, settings.search, settings.trials)
        else:
            jobs = list(StackedSweeper.lister(loader, self.config, overrides))
        if not isinstance(self.launcher, StackedLauncher):
            compose(loader, self.config, jobs)  # the launcher would come to a mistake hours later
        returns = self.launcher.launch(jobs, initial_job_idx=0)
        for each in returns:
            _ = each.return_value  # raises what the job raised
        return [returns]


@contextmanager
def listed_by(lister: Lister) -> Iterator[None]:
    """Let something else than the grid of the line list the jobs of multiruns."""
    StackedSweeper.lister = lister
    try:
        yield
    finally:
        StackedSweeper.lister = None


class StackedLauncher(Launcher):
    """Composes and checks all jobs, then trains them together.

    Args:
        plan_only: Print the plan and train nothing.
        resume: Do what is missing of a sweep that is there.
        extend: Add another grid to a sweep that is there.
    """

    def __init__(self, plan_only: bool = False, resume: bool = False, extend: bool = False) -> None:
        flags = {"plan_only": plan_only, "resume": resume, "extend": extend}
        self.flags = {name: value for name, value in flags.items() if value}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra knows; ``task_function``, which does one job, is not called."""
        self.hydra_context, self.config = hydra_context, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Train the jobs and return their validation losses, nan for those that have none.

        Raises:
            ConfigError: For jobs that cannot run, before any is started; when there is nothing to
                resume; when the folder is another sweep's.
        """
        setup_globals()
        settings = replace(
            settings_of(self.config, **self.flags), grid=SweepFolder.grid, line=SweepFolder.line
        )
        folder = Path(str(self.config.hydra.sweep.dir))
        _refuse_nothing_to_resume(folder, settings)
        loader = self.hydra_context.config_loader
        jobs = [tuple(words) for words in job_overrides]
        runs = compose(loader, self.config, jobs, initial_job_idx)

        from optlab.sweep.execute import execute  # imports torch
        from optlab.sweep.validate import refuse_invalid

        refuse_invalid(runs)
        SweepFolder.latest = None if settings.plan_only else folder
        return [_returned(run) for run in execute(runs, folder, settings)]


def register() -> None:
    """Make both known to Hydra, under ``hydra/sweeper=optlab`` and ``hydra/launcher=optlab``."""
    for plugin, group, options in (
        (StackedSweeper, "hydra/sweeper", {"params": None}),
        (StackedLauncher, "hydra/launcher", dict.fromkeys(LAUNCHER_FLAGS, False)),
    ):
        plugins, target = Plugins.instance(), _target(plugin)
        if target not in plugins.class_name_to_class:
            plugins.register(plugin)
            plugins.class_name_to_class[target] = plugin
            node = {"_target_": target, **options}
            ConfigStore.instance().store(group=group, name=NAME, node=node, provider=NAME)


def _target(plugin: type[Any]) -> str:
    """Return the name by which Hydra finds a plugin.

    Hydra 1.3 goes by it alone and wants it to be of the package `hydra_plugins`. The class keeps
    its real name, by which other processes find it.
    """
    is_bound = hasattr(Plugins, "is_in_toplevel_plugins_module")
    return f"{'hydra_plugins.optlab' if is_bound else plugin.__module__}.{plugin.__name__}"


def lists_jobs_of(words: Sequence[str]) -> bool:
    """Say whether optlab's sweeper was chosen on the command line."""
    chosen = [word for word in words if word.startswith("hydra/sweeper=")]
    return chosen[-1:] == [f"hydra/sweeper={NAME}"]


def _refuse_nothing_to_resume(folder: Path, settings: SweepSettings) -> None:
    if settings.resume and not (folder / LEDGER_FILE).exists():
        raise ConfigError(
            f"there is no sweep in {folder} to resume; give its folder with sweep.dir=FOLDER, or "
            "leave out --resume to start one"
        )


def _returned(run: PlannedRun) -> JobReturn:
    """Return what Hydra's sweepers expect of a job."""
    value = float("nan")
    if (run.folder / RESULT_FILE).exists():
        value = read_result(run.folder).val.get("loss", value)
    returned = JobReturn(overrides=run.overrides, status=JobStatus.COMPLETED)
    returned.return_value = value
    return returned
