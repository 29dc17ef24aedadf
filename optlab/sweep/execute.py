"""A stacked sweep from its runs to their results: plan, ledger, training."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from optlab.build import parts_of
from optlab.plugins import import_plugins
from optlab.seeding import global_stream
from optlab.sweep.array import Means
from optlab.sweep.ledger import Ledger
from optlab.sweep.plan import plan
from optlab.sweep.plan_text import render_plan
from optlab.sweep.planned import PlannedRun
from optlab.sweep.program import Plan, Program
from optlab.sweep.progress import Progress
from optlab.sweep.restore import restore_folders
from optlab.sweep.settings import SweepSettings
from optlab.sweep.worker import Worker, tasks_of
from optlab.sweep.workers import Workers


def execute(runs: Sequence[PlannedRun], folder: Path, settings: SweepSettings) -> None:
    """Plan a sweep, say so, and train what of it is missing in its folder.

    A run that fails is recorded with its cause, and the others go on.

    Raises:
        ConfigError: When runs cannot be planned, or the folder belongs to another sweep.
        LedgerError: When the ledger cannot be read or written.
        KeyboardInterrupt: Runs in training are recorded as interrupted before.
    """
    if settings.plan_only:
        print(render_plan(plan(runs, settings.engine, settings.workers)), end="")
        return
    with Ledger(folder) as ledger:
        todo = _entered(runs, ledger, settings)
        if not todo:
            return
        planned = plan(todo, settings.engine, settings.workers)
        print(render_plan(planned), flush=True)
        with closing(Progress()) as progress:
            progress.start(len(planned.programs), _updates(planned))
            _train(planned, ledger, progress, settings)
        _tell_of_others(todo, ledger)


def _entered(
    runs: Sequence[PlannedRun], ledger: Ledger, settings: SweepSettings
) -> list[PlannedRun]:
    """Enter runs into the ledger and return those without a result."""
    entered = ledger.enter(runs, settings.grid, settings.line, settings.extend)
    for mended in restore_folders(ledger):
        print(f"{mended}: written again from the ledger")
    ledger.release()
    ledger.retry(run.number for run in entered)
    missing = set(ledger.missing())
    todo = [run for run in entered if run.number in missing]
    if len(todo) < len(runs):
        print(f"{len(runs) - len(todo)} of {len(runs)} runs are done already")
    return todo


def _train(planned: Plan, ledger: Ledger, progress: Progress, settings: SweepSettings) -> None:
    """Train all programs here, or in processes."""
    runs = {run.number: run for program in planned.programs for run in program.runs}
    threads = None if settings.workers == 1 else max(1, _cores() // settings.workers)
    tasks = [
        task
        for program in planned.programs
        for task in tasks_of(
            program, Means(program.engine, program.reason, settings.checkpoint, threads)
        )
    ]
    if settings.workers == 1:
        Worker(ledger, runs, progress).work(tasks)
    else:
        Workers(ledger, runs, progress).work(tasks, settings.workers)


def _updates(planned: Plan) -> Mapping[str, int]:
    """Return the updates of every run's training by its name; 0 of those that cannot be built."""
    found: dict[str, int] = {}
    for program in planned.programs:
        found |= dict.fromkeys((run.name for run in program.runs), _updates_of(program))
    return found


def _updates_of(program: Program) -> int:
    """Return the updates of one run of a program, which its data decides."""
    run = program.runs[0]
    try:
        import_plugins(run.config["plugins"])
        with global_stream(run.config["seed"], "cpu"):
            return parts_of({**run.config, "device": "cpu"}, run.chosen).num_updates
    except Exception:
        return 0  # it fails again where it is trained, and is recorded there


def _tell_of_others(todo: Iterable[PlannedRun], ledger: Ledger) -> None:
    """Say which runs another process is training, so that nobody misses them."""
    numbers = {run.number for run in todo}
    others = [e for e in ledger.entries("state = 'running'") if e.number in numbers]
    if others:
        are = "run is" if len(others) == 1 else "runs are"
        print(f"{len(others)} {are} still being trained {others[0].where}")


def _cores() -> int:
    return len(os.sched_getaffinity(0))
