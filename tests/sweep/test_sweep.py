"""Multiruns: readable folders, failures that spare the others, the ranking at the end."""

import pytest

from optlab.cli import main
from tests.sweep.running import TINY, curve, results


def test_a_multirun_over_all_optimizers_leaves_readable_folders(folder):
    assert main(["train", "-m", *TINY, "optimizer=glob(*)", "seed=0,1", "sweep.dir=out"]) == 0
    found = results(folder / "out")
    assert {"optimizer=adam,seed=0", "optimizer=batch_gd,seed=1"} <= set(found)
    assert {result.status for result in found.values()} == {"done"}
    assert all((folder / "out" / name / "config.yaml").is_file() for name in found)


def test_a_run_of_a_sweep_equals_the_same_run_alone(train, folder):
    grid = ["optimizer=momentum,adam", "seed=0,1", "sweep.dir=out"]
    assert main(["train", "-m", *TINY, *grid]) == 0
    alone = train("alone", "optimizer=adam", "seed=1")
    assert curve(folder / "out" / "optimizer=adam,seed=1") == curve(alone)


def test_one_failing_job_is_recorded_with_its_cause_and_the_others_finish(folder, capsys):
    assert main(["train", "-m", *TINY, "optimizer.lr=0.1,-1,0.2", "sweep.dir=out"]) == 1
    found = results(folder / "out")
    assert [r.status for r in found.values()] == ["failed", "done", "done"]
    failed = found["lr=-1"]
    assert failed.cause == "lr must be in [0, inf), got -1.0 (optimizer.lr)"
    out, err = capsys.readouterr()
    assert "3 runs in out: 2 done, 1 failed" in out
    assert "failed: lr=-1: lr must be" in err


def test_a_diverged_run_does_not_make_the_sweep_fail(folder):
    diverging = ["task=line", "model=linear", "trainer.epochs=20", "optimizer=momentum"]
    grid = ["optimizer.lr=1e-3,1e9", "sweep.dir=out"]
    assert main(["train", "-m", *diverging, *grid, "logger.console=false"]) == 0
    assert sorted(r.status for r in results(folder / "out").values()) == ["diverged", "done"]


def test_the_same_sweep_again_does_only_what_is_missing(folder, capsys):
    line = ["train", "-m", *TINY, "seed=0,1", "sweep.dir=out"]
    assert main(line) == 0
    (folder / "out" / "seed=1" / "result.json").unlink()
    capsys.readouterr()
    assert main(line) == 0
    assert capsys.readouterr().err.count("already done, skipped") == 1
    assert len(results(folder / "out")) == 2


@pytest.mark.parametrize(
    "other",
    [["seed=7,0", "trainer.epochs=2"], ["seed=2,3", "optimizer.lr=0.5"], ["optimizer.lr=1,2"]],
    ids=["held", "held, other names", "varied"],
)
def test_a_sweep_into_the_folder_of_another_is_refused_and_changes_nothing(folder, capsys, other):
    assert main(["train", "-m", *TINY, "seed=0,1", "sweep.dir=out"]) == 0
    before = {p: p.read_bytes() for p in (folder / "out").rglob("*") if p.is_file()}
    assert main(["train", "-m", *TINY, *other, "sweep.dir=out"]) == 2
    err = capsys.readouterr().err
    assert "out holds a sweep that varies seed and holds" in err
    assert "choose another sweep.dir" in err
    after = {p: p.read_bytes() for p in (folder / "out").rglob("*") if p.is_file()}
    assert after == before


def test_a_sweep_may_be_extended_by_further_values(folder, capsys):
    line = ["train", "-m", *TINY, "sweep.dir=out", "logger.table=false"]
    assert main([*line, "seed=0,1"]) == 0
    assert main([*line, "seed=0,1,2"]) == 0
    assert capsys.readouterr().err.count("already done, skipped") == 2
    assert len(results(folder / "out")) == 3


def test_a_run_that_stands_where_a_sweep_would_put_another_is_kept(folder, capsys):
    assert main(["train", *TINY, "hydra.run.dir='out/seed=0'", "optimizer.lr=0.5"]) == 0
    before = (folder / "out" / "seed=0" / "result.json").read_bytes()
    assert main(["train", "-m", *TINY, "seed=0,1", "sweep.dir=out"]) == 2
    assert "already holds a run of another configuration" in capsys.readouterr().err
    assert (folder / "out" / "seed=0" / "result.json").read_bytes() == before


def test_a_sweep_on_top_of_a_sweeps_run_gets_a_folder_of_its_own(folder):
    assert main(["train", "-m", *TINY, "seed=0,1", "sweep.dir=out"]) == 0
    assert main(["train", "-m", "out/seed=0/config.yaml", "optimizer.lr=0.1,0.2"]) == 0
    assert len(results(folder / "out")) == 2
    assert len(results(folder / "runs")) == 2


def test_a_key_given_first_once_and_then_swept_names_the_folders(folder):
    words = ["trainer.epochs=1", "trainer.epochs=1,2", "sweep.dir=out"]
    assert main(["train", "-m", *TINY, *words]) == 0
    assert set(results(folder / "out")) == {"epochs=1", "epochs=2"}


@pytest.mark.parametrize(
    "words", [["hydra.sweep.dir=out"], ["sweep.dir='out, (x)'"], ["sweep.dir=out_${task.name}"]]
)
def test_the_summary_finds_the_folder_however_it_was_given(folder, capsys, words):
    assert main(["train", "-m", *TINY, "optimizer.lr=0.1,-1", *words]) == 1
    assert "2 runs in out" in capsys.readouterr().out


def test_a_preset_may_name_the_folder(folder):
    preset = folder / "mine" / "experiment" / "placed.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("# @package _global_\nsweep:\n  dir: placed\n")
    words = ["--config-dir", "mine", "experiment=placed", "seed=0,1"]
    assert main(["train", "-m", *TINY, *words]) == 0
    assert len(results(folder / "placed")) == 2


def test_sweep_prints_a_ranking_and_writes_table_and_figure(folder, capsys):
    assert main(["sweep", *TINY, "optimizer=sgd,adam", "seed=0,1", "sweep.dir=out"]) == 0
    out = capsys.readouterr().out
    assert "4 runs in 2 cells" in out
    assert (folder / "out" / "report.csv").is_file()
    assert (folder / "out" / "report.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_sweep_only_shows_makes_no_folder(folder, capsys):
    assert main(["sweep", "--cfg", "job"]) == 0
    assert "optimizer:" in capsys.readouterr().out
    assert list(folder.iterdir()) == []
