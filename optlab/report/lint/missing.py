"""Runs that a comparison should have and has not."""

from collections import Counter

from optlab.report.evidence import Evidence
from optlab.report.lint.lines import resume
from optlab.report.page import Objection
from optlab.report.sections.arrange import listed

#: Runs that a command goes on with one by one.
MOST_SINGLY = 3


def missing_runs(evidence: Evidence) -> list[Objection]:
    """Object to runs of a sweep that have no result: queued, running, failed or killed."""
    holed = [sweep for sweep in evidence.sweeps if sweep.missing]
    if not holed:
        return []
    states = Counter(run.state for sweep in holed for run in sweep.missing)
    folders = {record.folder for record in evidence.records}
    planned = {
        folder
        for sweep in evidence.sweeps
        for folder in (
            *(run.folder for run in sweep.missing),
            *(folder for folder in folders if folder.is_relative_to(sweep.folder)),
        )
    }
    told = listed([f"{count:,} {state}" for state, count in states.most_common()], len(states))
    count = states.total()
    sentence = (
        f"{count:,} of {len(planned):,} runs {'has' if count == 1 else 'have'} no result ({told}): "
        "cells without them can look better, or worse, than they are."
    )
    return [Objection("missing_runs", sentence, resume(sweep.folder for sweep in holed))]


def unfinished_runs(evidence: Evidence) -> list[Objection]:
    """Object to runs outside of sweeps that were interrupted or failed."""
    entered = {run.folder for sweep in evidence.sweeps for run in sweep.missing}
    runs = [run for own in evidence.runs.values() for run in own if run.folder not in entered]
    ends = {
        end: [run.folder for run in runs if run.result.status == end]
        for end in ("interrupted", "failed")
    }
    if not any(ends.values()):
        return []
    told = [f"{len(folders):,} {end}" for end, folders in ends.items() if folders]
    sentence = (
        f"Runs that did not come to their end: {listed(told, len(told))}. Interrupted ones are "
        "left out, failed ones score the worst there is."
    )
    stopped = [folder for folders in ends.values() for folder in folders]
    beside = Counter(run.folder.parent for run in evidence.records)
    # Runs beside others may be of Hydra's own multirun, whose runs do not go on by themselves.
    is_alone = len(stopped) <= MOST_SINGLY and all(beside[f.parent] == 1 for f in stopped)
    return [Objection("unfinished_runs", sentence, resume(stopped, "train") if is_alone else "")]
