"""The last lines of a multirun, on run folders made by hand."""

import pytest

from optlab.results import RunResult, write_result
from optlab.sweep.summary import summarize


@pytest.fixture
def begin(tmp_path):
    """Return a function that makes a run folder, with a result when it is given a status."""

    def make(name, status=None, cause=None):
        run = tmp_path / "sweep" / name
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("seed: 0\n")
        if status:
            numbers = {"updates": 1, "epochs": 1.0, "total_s": 1.0, "training_s": 1.0, "seed": 0}
            texts = {"name": name, "config_hash": name, "device": "a device", "started": ""}
            scores = {"train": {}, "val": {}, "test": {}}
            write_result(run, RunResult(status=status, cause=cause, **numbers, **texts, **scores))

    return make


def test_runs_that_ended_by_themselves_are_counted_and_all_is_well(begin, tmp_path, capsys):
    begin("a", "done")
    begin("b", "diverged")
    assert summarize(tmp_path / "sweep") == 0
    assert capsys.readouterr().out == f"2 runs in {tmp_path / 'sweep'}: 1 diverged, 1 done\n"


def test_one_run_is_no_runs(begin, tmp_path, capsys):
    begin("a", "done")
    summarize(tmp_path / "sweep")
    assert capsys.readouterr().out.startswith("1 run in ")


def test_failed_and_interrupted_runs_are_named_with_their_cause(begin, tmp_path, capsys):
    begin("a", "failed", "no such file")
    begin("b", "interrupted", "stopped by hand")
    assert summarize(tmp_path / "sweep") == 2
    assert "  failed: a: no such file\n" in capsys.readouterr().err


def test_of_very_many_failures_the_later_ones_are_told_by_cause(
    begin, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("optlab.sweep.summary.MOST_NAMED", 2)
    for number in range(5):
        begin(f"run{number}", "failed", "no such file" if number else "out of memory")
    assert summarize(tmp_path / "sweep") == 5
    assert capsys.readouterr().err.splitlines() == [
        "  failed: run0: out of memory",
        "  failed: run1: no such file",
        "  3 more failed: no such file",
    ]


def test_a_damaged_record_is_named_and_not_well(begin, tmp_path, capsys):
    begin("a", "done")
    begin("b", "done")
    (tmp_path / "sweep" / "b" / "result.json").write_text("{")
    assert summarize(tmp_path / "sweep") == 1
    said = capsys.readouterr()
    assert said.out == f"1 run in {tmp_path / 'sweep'}: 1 done\n"
    assert said.err.startswith("  damaged: cannot read ")


def test_a_run_without_a_result_is_unfinished_and_not_well(begin, tmp_path, capsys):
    begin("a", "done")
    begin("b", "failed", "no such file")
    begin("c")
    assert summarize(tmp_path / "sweep") == 2
    said = capsys.readouterr().err
    assert "  1 unfinished: the same line again does them, or optlab sweep --resume " in said


def test_only_unfinished_runs_are_no_empty_list(begin, tmp_path, capsys):
    begin("a")
    assert summarize(tmp_path / "sweep") == 1
    assert capsys.readouterr().out.splitlines()[0] == f"0 runs in {tmp_path / 'sweep'}"


def test_of_a_folder_that_was_never_made_nothing_is_said(tmp_path, capsys):
    assert summarize(tmp_path / "sweep") == 0
    assert capsys.readouterr().out == ""
