"""A stacked sweep from its runs to their results: plan, ledger, training."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from optlab.build import parts_of
from optlab.environment import usable_cores
from optlab.loggers.sweep_table import merge_parts
from optlab.plugins import import_plugins
from optlab.saying import say, tell, warn
from optlab.seeding import global_stream
from optlab.sweep.array_checkpoints import ArrayCheckpoints
from optlab.sweep.cause import RUN_ERRORS
from optlab.sweep.disk import refuse_full
from optlab.sweep.files import put_configs, put_result
from optlab.sweep.ledger import Ledger
from optlab.sweep.ledger_grid import refuse_doubles, refuse_entry
from optlab.sweep.means import Means
from optlab.sweep.origin import Origin
from optlab.sweep.plan import plan
from optlab.sweep.plan_text import render_plan
from optlab.sweep.planned import PlannedRun
from optlab.sweep.program import Plan, Program
from optlab.sweep.progress import Progress
from optlab.sweep.restore import restore_folders
from optlab.sweep.run_folder import LEDGER_FILE
from optlab.sweep.settings import SweepSettings
from optlab.sweep.tensorboard_runs import with_shown
from optlab.sweep.worker import Task, Worker, tasks_of
from optlab.sweep.workers import Workers


def execute(
    runs: Sequence[PlannedRun], folder: Path, settings: SweepSettings
) -> Sequence[PlannedRun]:
    """Plan a sweep, say so, and train what of it is missing in its folder.

    A run that fails is recorded with its cause, and the others go on.

    Returns:
        The runs, in the folders in which their results are.

    Raises:
        ConfigError: When runs cannot be planned, or the folder belongs to another sweep.
        LedgerError: When the ledger cannot be read or written.
        KeyboardInterrupt: Runs in training are recorded as interrupted before.
    """
    refuse_doubles(runs)
    if settings.plan_only:
        tell(render_plan(plan(runs, settings.engine, settings.workers)).removesuffix("\n"))
        return runs
    if not (folder / LEDGER_FILE).exists():
        refuse_entry(folder, runs, settings.grid, settings.extend)
    with Ledger(folder) as ledger:
        entered = ledger.enter(runs, settings.grid, settings.line, settings.extend)
        todo = _missing(entered, ledger)
        if todo:
            _do(todo, ledger, settings)
            _record_killed(todo, ledger)
            _tell_of_others(todo, ledger)
            if not ledger.missing():
                merge_parts(folder)  # nobody goes on from them
    return entered


def _do(runs: Sequence[PlannedRun], ledger: Ledger, settings: SweepSettings) -> None:
    """Plan runs, say so, and train them."""
    planned = plan(runs, settings.engine, settings.workers)
    say(render_plan(planned))
    is_quiet = not any(run.config["logger"]["console"] for run in runs)
    updates = _updates(planned)
    refuse_full(ledger.folder, planned, updates, settings)
    with closing(Progress(is_quiet=is_quiet)) as progress:
        progress.start(len(planned.programs), updates)
        _train(planned, ledger, progress, settings)
    unfinished = {run.identity for run in ledger.planned(ledger.missing())}
    ArrayCheckpoints(ledger.folder).keep(unfinished)


def _missing(entered: Sequence[PlannedRun], ledger: Ledger) -> list[PlannedRun]:
    """Return the runs without a result, and mend the folders of the others."""
    for mended in restore_folders(ledger):
        say(f"{mended}: written again from the ledger")
    ledger.release()
    ledger.retry(run.number for run in entered)
    missing = set(ledger.missing())
    todo = [run for run in entered if run.number in missing]
    if len(todo) < len(entered):
        say(f"{len(entered) - len(todo)} of {len(entered)} runs are done already")
    return todo


def _train(planned: Plan, ledger: Ledger, progress: Progress, settings: SweepSettings) -> None:
    """Train all programs here, or in processes.

    Runs that were lost with their process, which they may have ended, come last and in another.
    """
    runs = {run.number: run for program in planned.programs for run in program.runs}
    threads = None if settings.workers == 1 else max(1, usable_cores() // settings.workers)
    tasks = [
        task
        for program in planned.programs
        for task in tasks_of(
            program, Means(program.engine, program.reason, settings.checkpoint, threads)
        )
    ]
    tasks = with_shown(tasks, runs.values(), ledger, settings.tensorboard_runs)
    if settings.workers > 1:
        Workers(ledger, runs, progress).work(tasks, settings.workers)
        return
    lost = {entry.number for entry in ledger.entries("state = 'queued' AND attempts > 0")}
    Worker(ledger, runs, progress).work(_tasks_with(tasks, runs.keys() - lost))
    if suspects := _tasks_with(tasks, lost):
        one = "1 run that was in training when its process ended now trains in another"
        some = (
            f"{len(lost)} runs that were in training when their process ended now train in another"
        )
        say(one if len(lost) == 1 else some)
        Workers(ledger, runs, progress).work(suspects, 1)


def _tasks_with(tasks: Sequence[Task], numbers: Collection[int]) -> list[Task]:
    """Return what of the tasks is about these runs."""
    narrowed = (
        replace(task, numbers=tuple(n for n in task.numbers if n in numbers)) for task in tasks
    )
    return [task for task in narrowed if task.numbers]


def _updates(planned: Plan) -> Mapping[str, int]:
    """Return the updates of every run's training by its name; 0 of those that cannot be built."""
    found: dict[str, int] = {}
    for program in planned.programs:
        updates = _updates_of(program) if program.updates is None else program.updates
        found |= dict.fromkeys((run.name for run in program.runs), updates)
    return found


def _updates_of(program: Program) -> int:
    """Return the updates of a run that nobody has measured; its data decides them."""
    run = program.runs[0]
    try:
        import_plugins(run.config["plugins"])
        with global_stream(run.config["seed"], "cpu"):
            return parts_of({**run.config, "device": "cpu"}, run.chosen).num_updates
    except RUN_ERRORS:
        return 0  # it fails again where it is trained, and is recorded there


def _record_killed(todo: Iterable[PlannedRun], ledger: Ledger) -> None:
    """Leave a record in the folder of every run that ended all its processes, and say so."""
    killed = {e.number: e for e in ledger.entries("state = 'killed' AND result IS NULL")}
    for run in (run for run in todo if run.number in killed):
        cause = killed[run.number].cause or ""
        warn(f"{run.name}: interrupted: {cause}")
        with suppress(OSError):  # the ledger has it, too
            put_configs([run])
            put_result(run.folder, Origin(1).without_scores(run, "interrupted", cause))


def _tell_of_others(todo: Iterable[PlannedRun], ledger: Ledger) -> None:
    """Say which runs another process is training, so that nobody misses them."""
    numbers = {run.number for run in todo}
    others = [e for e in ledger.entries("state = 'running'") if e.number in numbers]
    if others:
        are = "run is" if len(others) == 1 else "runs are"
        say(f"{len(others)} {are} still being trained {others[0].where}")
