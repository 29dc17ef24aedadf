"""Run folders from the ledger: whatever was lost of them, the ledger has it."""

from pathlib import Path

from optlab.config import ConfigError
from optlab.results import collect, config_hash, write_result
from optlab.sweep.ledger_reader import FINAL, LedgerReader
from optlab.sweep.run_folder import finished_result, write_config


def restore_folders(ledger: LedgerReader) -> list[Path]:
    """Write ``config.yaml`` and ``result.json`` of finished runs where they are lost or damaged.

    Curves that are lost stay lost.

    Returns:
        The folders that were mended.

    Raises:
        FolderTakenError: When such a folder holds the result of another configuration.
    """
    results = ledger.results()
    finished = ledger.entries(f"state IN {FINAL}")
    lost = [e for e in finished if not _is_whole(e.folder, e.identity)]
    for run in ledger.planned(e.number for e in lost):
        write_config(run.folder, run.config)
        write_result(run.folder, results[run.number])
    return [e.folder for e in lost]


def _is_whole(folder: Path, identity: str) -> bool:
    """Say whether the folder holds both files, readable and of this run."""
    try:
        records = [record for record in collect(folder) if record.folder == folder]
    except ConfigError:
        return False
    if not records or finished_result(folder, identity) is None:
        return False
    return config_hash(records[0].config) == identity
