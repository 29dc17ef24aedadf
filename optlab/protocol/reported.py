"""What a report makes of the folder of a protocol: its winners on fresh seeds, and how they came.

The runs that are compared are those of the stage ``rerun``. The trials among which they were chosen
would win by luck, and tell only how sensitive an optimizer is and what tuning brings.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from optlab.protocol.folders import RERUN, TUNE, is_followed
from optlab.protocol.record import read_record
from optlab.protocol.section import protocol_section
from optlab.records import survey
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections import Builder
from optlab.report.sections.budget import budget
from optlab.report.sections.sensitivity import sensitivity
from optlab.sweep.sweep_record import sweep_records


def compared(folder: Path) -> Path:
    """Return the folder whose runs are compared: of a protocol, a stage of it.

    Raises:
        ConfigError: When the record of a protocol cannot be read.
    """
    if not is_followed(folder):
        return folder
    return folder / (RERUN if read_record(folder).is_judged else TUNE)


def protocol_sections(folders: Sequence[Path]) -> tuple[Builder, ...]:
    """Return the sections that a report has of its protocol, if the folders hold just one.

    Sensitivity and best of k are of the trials; they take the places of those of the winners.

    Raises:
        ConfigError: When the record of a protocol cannot be read.
    """
    followed = [folder for folder in folders if is_followed(folder)]
    if len(followed) != 1:
        return ()
    record = read_record(followed[0])
    own = protocol_section(record)
    if not record.is_judged:
        return (own,)
    trials = cache(partial(_trials, followed[0] / TUNE))
    return (own, _of(trials, sensitivity, "curves"), _of(trials, budget, "sensitivity"))


def _of(trials: Callable[[], Evidence], build: Builder, after: str) -> Builder:
    def built(evidence: Evidence) -> Section | None:
        found = trials()
        found.__dict__["looks"] = evidence.looks  # an optimizer looks the same in every figure
        section = build(found)
        return section and replace(section, after=after)

    return built


def _trials(stage: Path) -> Evidence:
    records = survey(stage).records
    return Evidence(records, rank(records), sweep_records([stage]))
