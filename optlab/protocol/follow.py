"""``optlab sweep protocol=NAME``: tune, choose, run the winners again, say what counts as solved.

All goes to one folder, a stage to each of these, and what was decided to ``protocol.json``::

    tune        every trial of every optimizer, on the seeds for tuning
    rerun       the winners of the largest budget, on fresh seeds: what is ranked
    budgets     the winners of smaller budgets, on the same, where they are other ones
    baselines   tune and rerun for the target, by a protocol that trains these for it alone

Stages are sweeps like any other: stopped in whatever way, the same line goes on with them. Winners
are decided once, when every trial has ended.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from optlab.protocol.folders import BASELINES, BUDGETS, PROTOCOL_FILE, RERUN, TUNE, is_followed
from optlab.protocol.jobs import Job
from optlab.protocol.line import Line
from optlab.protocol.protocol import Protocol
from optlab.protocol.record import (
    Record,
    new_record,
    read_record,
    refuse_other,
    refuse_sweep,
    write_record,
)
from optlab.protocol.stage import Tuning, ended, train
from optlab.protocol.winners import Winner, scores, targets, winners
from optlab.records import RunRecord
from optlab.saying import say
from optlab.sweep.run_folder import LEDGER_FILE, claimed, remove_unused
from optlab.sweep.sweep_folder import SweepFolder


def follow(line: Line, protocol: Protocol) -> None:
    """Do what is missing of a protocol in the line's folder.

    Raises:
        ConfigError: For what was typed, before anything is trained.
        FolderTakenError: When the folder is another protocol's, another line's, a sweep's, or
            another process is training in it.
        KeyboardInterrupt: What was trained is kept.
    """
    folder = line.folder
    record = _begun(line, protocol)
    folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder):
        try:
            record = _chosen(line, record, folder)
            record = _judged(line, record, folder)
            _aimed(line, record, folder)
        finally:
            SweepFolder.latest = folder if is_followed(folder) else None


def _begun(line: Line, protocol: Protocol) -> Record:
    refuse_sweep(line.folder)
    if not is_followed(line.folder):
        return new_record(line, protocol)
    record = read_record(line.folder)
    refuse_other(record, line, protocol)
    return record


def _chosen(line: Line, record: Record, folder: Path) -> Record:
    """Train every trial, and choose the best within each budget."""
    if record.winners:
        return record
    say(f"protocol {record.protocol.title}, {TUNE}: every trial of every optimizer")
    tuning = Tuning(record.protocol)
    with _begins(folder, record):
        found = _tuned(line, folder / TUNE, tuning)
    record = replace(record, winners=tuple(found), left_out=tuple(tuning.left_out))
    write_record(folder, record)
    return record


@contextmanager
def _begins(folder: Path, record: Record) -> Iterator[None]:
    """Note what the folder follows; of a line that cannot be trained nothing stays."""
    if not is_followed(folder):
        write_record(folder, record)
    try:
        yield
    except BaseException:
        if not (folder / TUNE / LEDGER_FILE).exists():
            (folder / PROTOCOL_FILE).unlink()
            remove_unused(folder)
        raise


def _tuned(line: Line, folder: Path, tuning: Tuning) -> list[Winner]:
    train(line, folder, tuning, tuning.protocol.held)
    return winners(ended(folder, tuning.jobs), tuning.protocol.budgets, tuning.spaces)


def _judged(line: Line, record: Record, folder: Path) -> Record:
    """Train the winners on fresh seeds, those of the largest budget first."""
    seeds = record.protocol.rerun_seeds
    largest = [w for w in record.winners if w.budget == record.protocol.budgets[-1]]
    known = _jobs(largest, seeds)
    smaller = [job for job in _jobs(record.winners, seeds) if job not in set(known)]
    say(f"protocol {record.protocol.name}, {RERUN}: winners on seeds that did not choose them")
    found = _rerun(line, folder / RERUN, known, record.protocol)
    if smaller:
        say(f"protocol {record.protocol.name}, {BUDGETS}: winners of smaller budgets")
        found |= _rerun(line, folder / BUDGETS, smaller, record.protocol)
    record = replace(record, winners=_scored(record.winners, seeds, found))
    write_record(folder, record)
    return record


def _rerun(
    line: Line, folder: Path, jobs: Sequence[Job], protocol: Protocol
) -> dict[Job, RunRecord]:
    train(line, folder, lambda *_: jobs, protocol.held)
    return ended(folder, jobs)


def _scored(
    chosen: Iterable[Winner], seeds: Sequence[int], found: Mapping[Job, RunRecord]
) -> tuple[Winner, ...]:
    return tuple(
        replace(w, scores=scores(w, [found[job] for job in w.jobs(seeds)])) for w in chosen
    )


def _aimed(line: Line, record: Record, folder: Path) -> None:
    """Note what counts as solved, from the runs at hand or from runs made for it."""
    protocol = record.protocol.for_targets
    if protocol is not None:
        record = _baselines(line, record, protocol, folder)
    judged = record.winners if protocol is None else record.baselines
    found = targets(judged, record.protocol.targets.baselines)
    write_record(folder, replace(record, targets=found))


def _baselines(line: Line, record: Record, protocol: Protocol, folder: Path) -> Record:
    """Tune baselines for the target alone, and train their winners on seeds of their own."""
    place, seeds = folder / BASELINES, protocol.rerun_seeds
    say(f"protocol {protocol.name}, {BASELINES}: what sets the target")
    if not record.baselines:
        tuning = Tuning(protocol, only=record.protocol.targets.baselines)
        record = replace(record, baselines=tuple(_tuned(line, place / TUNE, tuning)))
        write_record(folder, record)
    found = _rerun(line, place / RERUN, _jobs(record.baselines, seeds), protocol)
    return replace(record, baselines=_scored(record.baselines, seeds, found))


def _jobs(chosen: Sequence[Winner], seeds: Sequence[int]) -> list[Job]:
    """Return the runs of winners on some seeds, each once."""
    return list(dict.fromkeys(job for winner in chosen for job in winner.jobs(seeds)))
