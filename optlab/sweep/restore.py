"""Run folders from the ledger: whatever was lost of them, the ledger has it."""

from pathlib import Path

from optlab.config import ConfigError
from optlab.identity import config_hash
from optlab.records import collect
from optlab.results import CONFIG_FILE, write_result
from optlab.sweep.ledger_reader import FINAL, LedgerReader
from optlab.sweep.planned import PlannedRun
from optlab.sweep.refusal import FolderTakenError
from optlab.sweep.run_folder import config_text, finished_result, write_config


def restore_folders(ledger: LedgerReader) -> list[Path]:
    """Write ``config.yaml`` and ``result.json`` of finished runs where they are lost or damaged.

    Curves that are lost stay lost.

    Returns:
        The folders that were mended.

    Raises:
        FolderTakenError: When such a folder holds the result of another configuration.
    """
    finished = ledger.planned(entry.number for entry in ledger.entries(f"state IN {FINAL}"))
    lost = [run for run in finished if not _is_whole(run)]
    results = ledger.results() if lost else {}
    for run in lost:
        write_config(run.folder, run.config)
        write_result(run.folder, results[run.number])
    return [run.folder for run in lost]


def _is_whole(run: PlannedRun) -> bool:
    """Say whether the folder holds both files, readable and of this run."""
    try:
        if finished_result(run.folder, run.identity) is None:
            return False
    except FolderTakenError:
        raise
    except ConfigError:  # damaged
        return False
    return _is_as_written(run) or _means_the_same(run)


def _is_as_written(run: PlannedRun) -> bool:
    """Say whether ``config.yaml`` is word for word what optlab wrote: quicker than to read it."""
    try:
        return (run.folder / CONFIG_FILE).read_bytes() == config_text(run.config).encode()
    except OSError:
        return False


def _means_the_same(run: PlannedRun) -> bool:
    """Say whether the folder's configuration is the run's, whoever wrote it, and how."""
    try:
        records = [record for record in collect(run.folder) if record.folder == run.folder]
    except ConfigError:
        return False
    return bool(records) and config_hash(records[0].config) == run.identity
