"""What ``optlab sweep --status DIR`` says about a sweep, also while it runs."""

import shlex
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from optlab.config import ConfigError
from optlab.records import survey
from optlab.results import RunResult
from optlab.sweep.ledger_reader import FINAL, Entry, LedgerReader
from optlab.sweep.run_folder import LEDGER_FILE

#: The order in which states are told.
ORDER = (
    *("done", "diverged", "failed", "killed", "interrupted"),
    *("damaged", "running", "unfinished", "queued"),
)


def status(folder: str | Path) -> str:
    """Return how far the sweep in ``folder`` is: states, workers, failures, time, what is missing.

    Of a sweep without a ledger, which Hydra's own launchers made, it knows the runs that have
    begun.

    Raises:
        ConfigError: When there is no sweep in the folder.
        LedgerError: When its ledger cannot be read.
    """
    folder = Path(folder)
    of = _of_ledger if (folder / LEDGER_FILE).is_file() else _of_run_folders
    return "\n".join(of(folder)) + "\n"


def _of_ledger(folder: Path) -> list[str]:
    with LedgerReader(folder) as ledger:
        entries, results = ledger.entries(), ledger.results()
    missing = Counter(entry.state for entry in entries if entry.state not in FINAL)
    lines = [
        _counts(folder, Counter(entry.state for entry in entries)),
        *_running(entries),
        *_failures((e.state, e.cause, e.name) for e in entries if e.state in ("failed", "killed")),
        *_times([(e.started, e.ended) for e in entries], results.values()),
    ]
    if missing:
        command = shlex.join(["optlab", "sweep", "--resume", str(folder)])
        lines.append(f"missing: {missing.total()} of {len(entries)}; to continue: {command}")
    return lines


def _of_run_folders(folder: Path) -> list[str]:
    found = survey(folder)
    records, unfinished, damaged = found.records, found.unfinished, found.damaged
    below = sorted(path.parent for path in folder.glob(f"*/**/{LEDGER_FILE}"))
    if below:
        listing = ", ".join(map(str, below[:3])) + (" ..." if len(below) > 3 else "")
        raise ConfigError(f"{folder} holds {len(below)} sweeps; give one of them: {listing}")
    if not (records or unfinished or damaged):
        raise ConfigError(f"{folder} holds no sweep: neither a ledger nor runs")
    counts: Counter[str] = Counter(record.result.status for record in records)
    counts["damaged"], counts["unfinished"] = len(damaged), len(unfinished)
    results = [record.result for record in records]
    lines = [
        f"{_counts(folder, counts)} (no ledger: runs that have not begun are not counted)",
        *_failures(
            (r.result.status, r.result.cause, r.folder.name)
            for r in records
            if r.result.status not in FINAL
        ),
        *_failures(("damaged", str(error), run.name) for run, error in damaged.items()),
        *_times([(result.started, None) for result in results], results),
    ]
    missing = sum(count for state, count in counts.items() if state not in FINAL)
    if missing:
        lines.append(f"missing: {missing} of those that began; the same line again trains them")
    return lines


def _counts(folder: Path, counts: Mapping[str, int]) -> str:
    listing = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts.get(state))
    total = sum(counts.values())
    return f"{total} run{'s' * (total != 1)} in {folder}" + (f": {listing}" if listing else "")


def _running(entries: Sequence[Entry]) -> list[str]:
    """Return a line for each worker: how many runs, where, since when, and whether it is gone."""
    now = time.time()
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.state == "running":
            groups[entry.where].append(entry)
    lines = []
    for where, group in groups.items():
        since = min(entry.started or "" for entry in group)
        seconds = now - datetime.fromisoformat(since).timestamp()
        line = f"running: {len(group)} {where} for {_duration(seconds)}"
        lines.append(line + (": that process is gone" if group[0].is_orphan(now) else ""))
    return lines


def _failures(ended: Iterable[tuple[str, str | None, str]]) -> list[str]:
    """Return a line for each cause, the most frequent first, with the first run of it."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for state, cause, name in ended:
        first_line = (cause or "no cause recorded").strip().partition("\n")[0]
        names[state, first_line].append(name)
    ordered = sorted(names.items(), key=lambda item: -len(item[1]))
    return [
        f"{state}: {len(group)}: {cause} (in {group[0]}{' ...' if len(group) > 1 else ''})"
        for (state, cause), group in ordered
    ]


def _times(
    spans: Iterable[tuple[str | None, str | None]], results: Iterable[RunResult]
) -> list[str]:
    """Return the line about time, if anything has begun."""
    moments = [m for span in spans for m in span if m]
    training_s = sum(result.training_s for result in results)
    if not moments:
        return []
    first, last = (_moment(moment) for moment in (min(moments), max(moments)))
    return [
        f"time: begun {first:%Y-%m-%d %H:%M:%S} UTC, last start or end "
        f"{_duration((last - first).total_seconds())} later; {_duration(training_s)} of training"
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _duration(seconds: float) -> str:
    """Return a time for people: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
