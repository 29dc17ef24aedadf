"""What Hydra calls for every job: one run in one folder, and its record whatever happens."""

import functools
import inspect
import os
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from optlab.config import ConfigError, check_value
from optlab.identity import config_hash
from optlab.plugins import import_plugins
from optlab.results import CONFIG_FILE, RunResult, write_result
from optlab.saying import say, tell, warn
from optlab.stopping import listening
from optlab.sweep import run_folder
from optlab.sweep.cause import RUN_ERRORS, cause_of
from optlab.sweep.consent import refuse_unnamed_code
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
        refuse_unnamed_code(job.config, hydra.overrides.task)
        return job.run().val.get("loss", float("nan"))
    except FolderTakenError as error:
        if alone:
            raise
        raise SweepRefused(str(error)) from error
    except KeyboardInterrupt as interrupt:
        if run_folder.finished_result(folder, job.identity) is None:
            job.record_end("interrupted", str(interrupt) or "stopped by hand")
        raise
    except RUN_ERRORS as error:
        if alone and isinstance(error, ConfigError):
            run_folder.remove_unused(folder)
            raise
        job.record_end("failed", cause_of(error))
        if alone and isinstance(error, SystemExit):
            raise SystemExit(1) from error  # a run that says it is well has not trained either
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
        self.progress = {"updates": 0, "epochs": 0.0}
        self._device = "cpu"
        self._notes: dict[str, float] = {}

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
        say(f"{self.folder}: already {finished.status}, skipped")
        if self.alone and self.config["logger"].get("console"):
            tell(f"results, curves and configuration: {self.folder}")
        return finished

    def _train(self) -> RunResult:
        seed = self.config["seed"] = check_value(self.config.get("seed"), Natural, "seed")
        import_plugins(self.config.get("plugins") or [])
        import torch

        from optlab.build import Built, cautions, parts_of, resolve_device
        from optlab.seeding import global_stream
        from optlab.sweep.lone_run import LoneRun

        self._device = str(resolve_device(self.config.get("device", "auto")))
        with global_stream(seed, self._device):
            parts = parts_of(self.config, self.chosen)
        for caution in cautions(self.config, Built.of(parts)):
            _say_once(f"[optlab] {caution}")
        torch.set_num_threads(parts.trainer.threads)
        self._notes = parts.data.notes
        with global_stream(seed, self._device, "training"), listening() as stop:
            run = LoneRun(self, parts, stop)
            run_folder.write_config(self.folder, self.config)
            result = run.train()
        if "compiler" in result.execution:
            _say_once(f"[optlab] updates take longer than they need to: {result.execution}")
        if not self.alone:
            stop.end_if_asked()  # this run is done all the same; the next one does not begin
        if self.alone and self.config["logger"].get("console"):
            tell(f"results, curves and configuration: {self.folder}")
        return result

    def record_end(self, status: str, cause: str) -> None:
        """Write a result that says why the run did not come to its end, and say so."""
        warn(f"{self.folder.name}: {status}: {cause}")
        if self.alone and (self.folder / run_folder.CHECKPOINTS).exists():
            warn(f"it goes on with: optlab train --resume {shlex.quote(str(self.folder))}")
        if not (self.folder / CONFIG_FILE).exists():
            run_folder.write_config(self.folder, self.config)
        if "torch" not in sys.modules:  # stopped in the midst of its import, which has no second
            return
        nothing: dict[str, Any] = {"train": {}, "val": {}, "test": {}, "training_s": 0.0}
        write_result(self.folder, self.result(status=status, cause=cause, **nothing))

    def result(self, **fields: Any) -> RunResult:
        """Return a result of this run: what every one says, and ``fields`` over that."""
        from optlab.environment import recorded

        seed = self.config.get("seed")
        common: dict[str, Any] = {
            **recorded(self._device, self.config.get("plugins") or ()),
            **self.progress,
            "name": self.folder.name,
            "total_s": time.perf_counter() - self._start_s,
            "shared_by": 1,
            "config_hash": self.identity,
            "seed": seed if isinstance(seed, int) else None,
            "started": self.started.isoformat(timespec="seconds"),
            "notes": self._notes,
        }
        return RunResult(**common | fields)

    def title(self) -> str:
        """Return the run's name, and in a sweep its number among the jobs."""
        if self.alone:
            return self.folder.name
        number = HydraConfig.get().job.num + 1
        return f"[{number}/{os.environ.get(JOB_COUNT, '?')}] {self.folder.name}"


@functools.cache
def _say_once(text: str) -> None:
    """Write a line about this machine to stderr, once in a process whatever the number of runs."""
    warn(text)
