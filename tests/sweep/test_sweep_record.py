"""Sweeps as their ledgers tell them."""

import sqlite3

from optlab.cli import main
from optlab.sweep.sweep_record import sweep_records

TINY = ["task=xor", "model.hidden=[4]", "trainer.epochs=2", "logger.console=false"]


def test_every_sweep_below_a_folder_is_found_with_its_lines(tmp_path):
    first, second = tmp_path / "b" / "sweep", tmp_path / "a"
    for folder in (first, second):
        assert main(["sweep", *TINY, "seed=0,1", f"sweep.dir={folder}"]) == 0
    more = ["sweep", *TINY, "seed=2,3", f"sweep.dir={first}", "--extend"]
    assert main(more) == 0
    records = sweep_records([tmp_path])
    assert [record.folder for record in records] == [second, first]
    assert [[w for w in line if w.startswith("seed")] for line in records[1].lines] == [
        ["seed=0,1"],
        ["seed=2,3"],
    ]


def test_a_run_without_a_result_is_missing_with_its_configuration(tmp_path):
    assert main(["sweep", *TINY, "seed=0,1", f"sweep.dir={tmp_path}"]) == 0
    with sqlite3.connect(tmp_path / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE runs SET state = 'queued', result = NULL WHERE number = 1")
    (record,) = sweep_records([tmp_path])
    (missing,) = record.missing
    assert (missing.state, missing.config["seed"]) == ("queued", 1)
    assert missing.folder == tmp_path / "seed=1"


def test_a_folder_without_a_ledger_has_no_sweep(tmp_path):
    (tmp_path / "run").mkdir()
    assert sweep_records([tmp_path, tmp_path / "run"]) == []
