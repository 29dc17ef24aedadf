"""What Hydra calls for every job: one run in one folder, and its record whatever happens."""

import contextlib
import functools
import inspect
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from optlab.config import ConfigError, bind, check_value
from optlab.config.schema import LoggerConfig
from optlab.plugins import import_plugins
from optlab.results import (
    CONFIG_FILE,
    OUTCOME_FREE,
    RunResult,
    cell_hash,
    config_hash,
    flatten,
    write_result,
)
from optlab.sweep import run_folder
from optlab.sweep.naming import folder_name
from optlab.sweep.planned import chosen_sections, of_the_run
from optlab.sweep.refusal import FolderTakenError, SweepRefused
from optlab.types import Natural

# OmegaConf 2.4 gives the plain name, which meant something else before, to the new function.
_registers = (OmegaConf.register_resolver, OmegaConf.register_new_resolver)
_register: Any = next(r for r in _registers if "replace" in inspect.signature(r).parameters)
_register("optlab.folder_name", folder_name, replace=True)

#: Environment variable in which a job finds how many there are.
JOB_COUNT = "OPTLAB_JOB_COUNT"


def run_job(config: DictConfig) -> float:
    """Do one run in Hydra's output folder and return its validation loss.

    In a multirun a failing job is recorded and the next one goes on; alone, its error is raised.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(resolved, dict)
    alone = hydra.mode != RunMode.MULTIRUN
    job = Job(of_the_run(resolved), folder, alone, chosen_sections(hydra.overrides.task))
    try:
        return job.run().val.get("loss", float("nan"))
    except FolderTakenError as error:
        if alone:
            raise
        raise SweepRefused(str(error)) from error
    except KeyboardInterrupt as interrupt:
        job.record_end("interrupted", str(interrupt) or "stopped by hand")
        raise
    except Exception as error:
        if alone and isinstance(error, ConfigError):
            run_folder.remove_unused(folder)
            raise
        kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
        job.record_end("failed", f"{kind}{error}")
        if alone:
            raise
        return float("nan")


class Job:
    """One run in one folder.

    Attributes:
        config: Resolved configuration.
        folder: The run folder.
        alone: Whether this is the only run of the command.
        chosen: Keys that the user named; a choice that does nothing is refused among these.
    """

    def __init__(
        self,
        config: dict[str, Any],
        folder: Path,
        alone: bool = True,
        chosen: frozenset[str] = frozenset(),
    ) -> None:
        self.config, self.folder, self.alone, self.chosen = config, folder, alone, chosen
        self.identity = config_hash(config)
        self.started, self._start_s = datetime.now(UTC), time.perf_counter()
        self._progress = {"updates": 0, "epochs": 0.0}
        self._device = "cpu"
        self._notes: dict[str, float] = {}
        self._execution = ""

    def run(self) -> RunResult:
        """Train unless the folder already holds this run's result, and return the result.

        Raises:
            ConfigError: For the configuration.
            FolderTakenError: When the folder holds another run, or one in progress.
        """
        with run_folder.claimed(self.folder):
            finished = run_folder.finished_result(self.folder, self.identity)
            if finished is None:
                return self._train()
        print(f"{self.folder}: already {finished.status}, skipped")
        return finished

    def _train(self) -> RunResult:
        seed = self.config["seed"] = check_value(self.config.get("seed"), Natural, "seed")
        import_plugins(self.config.get("plugins") or [])
        import torch

        from optlab.build import parts_of, resolve_device
        from optlab.seeding import global_stream

        self._device = str(resolve_device(self.config.get("device", "auto")))
        with global_stream(seed, self._device):
            parts = parts_of(self.config, self.chosen)
        torch.set_num_threads(parts.trainer.threads)
        self._notes = parts.data.notes
        run_folder.write_config(self.folder, self.config)
        with (
            global_stream(seed, self._device, "training"),
            self._logging(parts.num_updates) as loggers,
        ):
            result = self._fit(parts, loggers)
        write_result(self.folder, result)
        if self.alone and self.config["logger"].get("console"):
            print(f"results, curves and configuration: {self.folder}")
        return result

    def _fit(self, parts: Any, loggers: list[Any]) -> RunResult:
        from optlab.train import train_alone

        def emit(update: int, epoch: float, values: Mapping[str, float]) -> None:
            self._progress = {"updates": update, "epochs": epoch}
            waiting = iter(loggers)
            try:
                for logger in waiting:
                    logger.log(update, epoch, values)
            except KeyboardInterrupt:  # a record that some have is one that all have
                for logger in waiting:
                    logger.log(update, epoch, values)
                raise

        ended, self._execution = train_alone(parts, emit)
        if "compiler" in self._execution:
            _say_once(f"[optlab] updates take longer than they need to: {self._execution}")
        outcome, scores = ended.outcome, ended.scores
        tested = {f"{name}/test": value for name, value in scores["test"].items()}
        emit(outcome.updates, outcome.epochs, tested)
        result = self._result(
            status=outcome.status,
            cause=outcome.cause,
            best_epoch=outcome.best_epoch,
            training_s=outcome.train_s,
            **scores,
        )
        for logger in loggers:
            logger.finish(result)
        return result

    def record_end(self, status: str, cause: str) -> None:
        """Write a result that says why the run did not come to its end, and say so."""
        print(f"{self.folder.name}: {status}: {cause}")
        if not (self.folder / CONFIG_FILE).exists():
            run_folder.write_config(self.folder, self.config)
        nothing: dict[str, Any] = {"train": {}, "val": {}, "test": {}, "training_s": 0.0}
        write_result(self.folder, self._result(status=status, cause=cause, **nothing))

    def _result(self, **fields: Any) -> RunResult:
        from optlab.environment import environment

        machine = environment(self._device)
        seed = self.config.get("seed")
        return RunResult(
            **self._progress | fields,
            name=self.folder.name,
            total_s=time.perf_counter() - self._start_s,
            config_hash=self.identity,
            seed=seed if isinstance(seed, int) else None,
            device=machine["device"],
            execution=self._execution,
            versions=machine["versions"],
            commit=machine["commit"],
            dirty=machine["dirty"],
            started=self.started.isoformat(timespec="seconds"),
            notes=self._notes,
        )

    def _title(self) -> str:
        """Return the run's name, and in a sweep its number among the jobs."""
        if self.alone:
            return self.folder.name
        number = HydraConfig.get().job.num + 1
        return f"[{number}/{os.environ.get(JOB_COUNT, '?')}] {self.folder.name}"

    def _hparams(self) -> dict[str, Any]:
        """Return what tells cells apart: seeds of one cell share a row of TensorBoard's table."""
        shown = {k: v for k, v in self.config.items() if k not in OUTCOME_FREE | {"seed"}}
        return flatten(shown)

    @contextlib.contextmanager
    def _logging(self, num_updates: int) -> Iterator[list[Any]]:
        """Open the loggers that the configuration asks for; close them whatever happens."""
        from optlab.loggers.console import Console
        from optlab.loggers.table import MetricsTable
        from optlab.loggers.tensorboard import TensorBoardLogger

        wanted = LoggerConfig(**bind(LoggerConfig, self.config["logger"], "logger"))
        with contextlib.ExitStack() as stack:
            loggers: list[Any] = []
            if wanted.tensorboard:
                group = cell_hash(self.config)
                loggers.append(TensorBoardLogger(self.folder, self._hparams(), group))
            if wanted.table:
                loggers.append(MetricsTable(self.folder))
            if wanted.console:
                console = Console() if self.alone else Console(max_lines=0)
                console.start(self._title(), num_updates)
                loggers.append(console)
            for logger in loggers:
                stack.callback(logger.close)
            yield loggers


@functools.cache
def _say_once(text: str) -> None:
    """Write a line about this machine to stderr, once in a process whatever the number of runs."""
    print(text, file=sys.stderr)
