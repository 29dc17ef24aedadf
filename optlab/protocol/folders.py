"""Where a protocol is followed. To ask must not take the half second that a report's parts do."""

from pathlib import Path

from optlab.sweep.run_folder import LEDGER_FILE

PROTOCOL_FILE = "protocol.json"
TUNE, RERUN, BUDGETS, BASELINES = "tune", "rerun", "budgets", "baselines"

#: Where stages go, in the order in which they are done.
STAGES = (TUNE, RERUN, BUDGETS, f"{BASELINES}/{TUNE}", f"{BASELINES}/{RERUN}")


def is_followed(folder: Path) -> bool:
    """Say whether a protocol is followed in a folder."""
    return (folder / PROTOCOL_FILE).exists()


def stages(folder: Path) -> list[Path]:
    """Return the folders of those stages of a protocol that have begun."""
    return [folder / name for name in STAGES if (folder / name / LEDGER_FILE).exists()]
