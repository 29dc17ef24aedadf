"""Every command, pasted as it stands: it trains, and what it mends is objected to no more."""

import shlex
import shutil
import sqlite3
from pathlib import Path

import pytest

from optlab.cli import main
from optlab.report.evidence import Evidence
from optlab.report.lint import objections
from optlab.report.page import Objection
from optlab.report.ranking import rank
from optlab.reporting import source_of

TINY = "task=blobs model.hidden=[4] trainer.epochs=1 logger=none --quiet sweep.dir=runs"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("optlab.commands._report", lambda *_, **__: 0)


def sweep(line: str) -> None:
    assert main(["sweep", *shlex.split(f"{line} {TINY}")]) == 0


def found(folder: str = "runs") -> dict[str, Objection]:
    source = source_of([Path(folder)])
    records = source.survey().records
    against = objections(Evidence(records, rank(records), source.sweeps))
    return {each.name: each for each in against}


def paste(command: str) -> None:
    assert command
    for each in command.split(" && "):
        program, *words = shlex.split(each)
        assert program == "optlab"
        assert main([*words, "--quiet"]) == 0


def test_seeds_budgets_and_schedules_are_mended_one_after_another() -> None:
    sweep("optimizer=adam optimizer.lr=1e-3,1e-2,1e-1 seed=0,1")
    sweep("optimizer=choice(nag) optimizer.lr=choice(1e-2) seed=0,1,2 schedule=cosine --extend")
    names = ["unequal_schedules", "unequal_budgets", "unequal_seeds"]
    assert set(names) <= set(found())
    for name in names:
        paste(found()[name].command)
        assert name not in found()
    assert not {*names, "few_seeds"} & set(found())


def test_too_few_seeds_are_mended() -> None:
    sweep("optimizer=adam,nag seed=3")
    paste(found()["few_seeds"].command)
    assert "few_seeds" not in found()


def test_rates_beyond_the_edge_are_tried_with_all_optimizers() -> None:
    sweep("optimizer=adam,nag optimizer.lr=1e-4,1e-3,1e-2")
    before = found()["edge_optimum"]
    assert "the highest, 0.01" in before.sentence
    paste(before.command)
    after = found().get("edge_optimum", Objection("", ""))
    assert after.sentence != before.sentence
    assert "unequal_budgets" not in found()


def test_searches_are_given_more_trials_and_wider_ends() -> None:
    search = "'optimizer.lr=tag(log,interval(1e-4,1e-2))' search=halton"
    sweep(f"'optimizer=choice(adam)' {search} trials=6")
    sweep(f"'optimizer=choice(nag)' {search} trials=3 --extend")
    paste(found()["unequal_budgets"].command)
    assert "unequal_budgets" not in found()
    before = found()["edge_optimum"]
    paste(before.command)
    assert found().get("edge_optimum", Objection("", "")).sentence != before.sentence


def test_missing_runs_are_trained() -> None:
    sweep("optimizer=adam,nag seed=0,1")
    with sqlite3.connect("runs/ledger.sqlite") as ledger:
        ledger.execute("UPDATE runs SET state = 'queued', result = NULL WHERE number = 3")
    ledger.close()
    shutil.rmtree("runs/optimizer=nag,seed=1")
    assert "1 of 4 runs has no result (1 queued)" in found()["missing_runs"].sentence
    paste(found()["missing_runs"].command)
    assert "missing_runs" not in found()


def test_runs_of_several_commits_are_trained_again_beside_them() -> None:
    sweep("optimizer=adam,nag seed=0,1")
    result = Path("runs/optimizer=nag,seed=1/result.json")
    result.write_text(result.read_text().replace('"platform": "', '"platform": "elsewhere '))
    assert "platform" in found()["mixed_environment"].sentence
    paste(found()["mixed_environment"].command)
    assert (
        "platform" not in found("runs_again").get("mixed_environment", Objection("", "")).sentence
    )
