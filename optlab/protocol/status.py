"""How far a sweep is: one that follows a protocol, stage by stage, or one that follows none."""

from pathlib import Path

from optlab.protocol.folders import RERUN, TUNE, is_followed, stages
from optlab.protocol.record import Record, read_record
from optlab.sweep import status as of_sweep


def status(folder: Path) -> str:
    """Return how far the sweep in a folder is.

    Raises:
        ConfigError: When there is none.
        LedgerError: When a ledger cannot be read.
    """
    if not is_followed(folder):
        return of_sweep.status(folder)
    record = read_record(folder)
    parts = [of_sweep.status(stage).rstrip() for stage in stages(folder)]
    return "\n\n".join([f"protocol {record.protocol.title}", *parts, _decided(record)]) + "\n"


def _decided(record: Record) -> str:
    if not record.winners:
        return f"winners: chosen when every trial of {TUNE} has ended; then {RERUN}"
    if not record.is_judged:
        return f"winners: chosen; {RERUN} and what follows have not ended"
    told = [
        f"target of {group or 'all'}: {target['metric']} {target['value']:.4g} ({target['from']})"
        for group, target in record.targets.items()
    ]
    return "\n".join(told) or "no target: no baseline is among the optimizers"
