"""A sweep from its runs to their folders: what is trained, how it ends, and a second start."""

import errno
import math
from dataclasses import replace

import polars as pl
import pytest
import torch
from torch import nn

from optlab import registry
from optlab.build import build
from optlab.config import ConfigError
from optlab.loggers.table import read_metrics
from optlab.records import collect
from optlab.results import read_result, write_result
from optlab.sweep.ledger_reader import LedgerReader
from optlab.sweep.refusal import FolderTakenError
from optlab.sweep.run_folder import LEDGER_FILE, Grid, claim_for_grid, write_config
from optlab.train.native import NotNative
from optlab.train.stack.loop import StackTraining
from tests.sweep.executing import do, left, seeds, states, sweep_of


def fail_where(monkeypatch, is_guilty, error):
    """Have every stack fail, or do something, that holds such parts."""
    fit = StackTraining.fit

    def failing(self, *arguments):
        if any(is_guilty(part) for part in self.courses):
            raise error
        return fit(self, *arguments)

    monkeypatch.setattr(StackTraining, "fit", failing)


def test_every_run_ends_in_its_folder_the_ledger_and_the_table(tmp_path, capsys):
    runs = seeds(tmp_path, 3)
    do(runs, tmp_path)
    out = capsys.readouterr().err
    assert out.startswith("3 runs, 1 stacked program\n")
    assert states(tmp_path) == ["done"] * 3
    records = collect(tmp_path)
    assert [record.config["seed"] for record in records] == [0, 1, 2]
    with LedgerReader(tmp_path) as ledger:
        assert list(ledger.results().values()) == [record.result for record in records]
    rows = read_metrics([run.folder for run in runs], ["loss/val", "loss/test"])
    for record in records:
        own = rows.filter(pl.col("folder") == str(record.folder))
        values = {tag: own.filter(pl.col("tag") == tag)["value"] for tag in own["tag"].unique()}
        assert values["loss/val"].to_list()[-1] == record.result.val["loss"]
        assert values["loss/test"].to_list() == [record.result.test["loss"]]
        assert record.result.execution == "eager: torch.vmap over runs"
        assert list(record.folder.glob("events.out.tfevents.*"))


def test_a_run_executed_singly_is_the_run_alone_bit_for_bit(tmp_path):
    runs = sweep_of(tmp_path, {"optimizer.lr": 0.01}, {"optimizer.lr": 0.1})
    do(runs, tmp_path, engine="single")
    for run in runs:
        training = build(run.config)
        outcome, found = training.fit(lambda *record: None).outcome, read_result(run.folder)
        for name in ("status", "updates", "epochs", "best_epoch"):
            assert getattr(found, name) == getattr(outcome, name)
        for name in ("train", "val", "test"):
            assert getattr(found, name) == training.evaluate(getattr(training.data, name))
        alone = training.run.execution
        assert found.execution == f"{alone} (not stacked: sweep.engine=single)"


def test_a_second_start_trains_nothing(tmp_path, capsys):
    runs = seeds(tmp_path, 2)
    do(runs, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    capsys.readouterr()
    do(runs, tmp_path)
    assert capsys.readouterr().err == "2 of 2 runs are done already\n"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == before


def test_a_second_start_trains_what_is_missing_alone(tmp_path, capsys):
    do(seeds(tmp_path, 2), tmp_path)
    before = left(tmp_path)
    do(seeds(tmp_path, 4), tmp_path, extend=True)
    assert "2 of 4 runs are done already\n2 runs, 1 stacked" in capsys.readouterr().err
    assert states(tmp_path) == ["done"] * 4
    after = left(tmp_path)
    assert len(after) == 4
    assert {name: after[name] for name in before} == before


def test_lost_folders_of_finished_runs_are_written_again(tmp_path):
    runs = seeds(tmp_path, 2)
    do(runs, tmp_path)
    before = left(tmp_path)
    (runs[1].folder / "result.json").unlink()
    do(runs, tmp_path)
    assert left(tmp_path) == before


def test_only_the_plan_leaves_nothing(tmp_path, capsys):
    do(seeds(tmp_path / "sweep", 2), tmp_path / "sweep", plan_only=True)
    assert capsys.readouterr().out.startswith("2 runs, 1 stacked program\n")
    assert not (tmp_path / "sweep").exists()


def test_a_run_that_cannot_be_built_fails_and_the_others_go_on(tmp_path, capsys):
    runs = sweep_of(tmp_path, {"optimizer.lr": 0.1}, {"optimizer.lr": -1.0}, {"optimizer.lr": 0.2})
    do(runs, tmp_path)
    assert states(tmp_path) == ["done", "failed", "done"]
    result = read_result(runs[1].folder)
    assert (result.status, result.updates) == ("failed", 0)
    assert result.cause == "lr must be in [0, inf), got -1.0 (optimizer.lr)"
    assert "optimizer.lr=-1.0: failed: lr must be" in capsys.readouterr().err


def test_a_failed_run_is_tried_again_by_a_second_start(tmp_path, monkeypatch):
    runs = seeds(tmp_path, 2)
    with monkeypatch.context() as context:
        fail_where(context, lambda part: part.sampler.seed == 1, RuntimeError("no luck"))
        do(runs, tmp_path)
    assert states(tmp_path) == ["done", "failed"]
    do(runs, tmp_path)
    assert states(tmp_path) == ["done", "done"]


def test_a_run_that_ends_its_stack_is_found_and_the_others_are_not_lost(
    tmp_path, monkeypatch, capsys
):
    do(seeds(tmp_path / "expected", 5), tmp_path / "expected")
    fail_where(monkeypatch, lambda part: part.sampler.seed == 3, ValueError("no such thing"))
    do(seeds(tmp_path / "found", 5), tmp_path / "found")
    assert states(tmp_path / "found") == ["done", "done", "done", "failed", "done"]
    cause = read_result(tmp_path / "found" / "seed=3").cause
    assert cause.startswith("ValueError: no such thing (test_execute.py, line ")
    out = capsys.readouterr().err
    assert f"5 runs failed together ({cause}) and train as 3 and 2\n" in out
    expected, found = left(tmp_path / "expected"), left(tmp_path / "found")
    for name in ("seed=0", "seed=4"):
        assert found[name]["val"] == pytest.approx(expected[name]["val"], rel=1e-5)


def test_an_array_that_runs_out_of_memory_is_halved(tmp_path, monkeypatch, capsys):
    fit = StackTraining.fit

    def small_memory(self, *arguments):
        if len(self.courses) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return fit(self, *arguments)

    monkeypatch.setattr(StackTraining, "fit", small_memory)
    do(seeds(tmp_path, 5), tmp_path)
    assert states(tmp_path) == ["done"] * 5
    out = capsys.readouterr().err
    assert "5 runs ran out of memory and train as 3 and 2\n" in out
    assert "3 runs ran out of memory and train as 2 and 1\n" in out


def test_a_run_that_is_too_large_alone_says_what_to_do(tmp_path, monkeypatch):
    fail_where(monkeypatch, lambda part: True, RuntimeError("can't allocate memory: you tried"))
    do(seeds(tmp_path, 2), tmp_path)
    assert states(tmp_path) == ["failed"] * 2
    cause = read_result(tmp_path / "seed=0").cause
    assert "make trainer.batch_size or the model smaller" in cause


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_ends_the_sweep_and_no_run(tmp_path, monkeypatch, capsys, number):
    def full(folder, result):
        raise OSError(number, "No space left on device")

    runs = seeds(tmp_path, 2, common=("logger.console=true",))
    monkeypatch.setattr("optlab.sweep.array.put_result", full)
    with pytest.raises(OSError, match="No space"):
        do(runs, tmp_path)
    assert states(tmp_path) == ["queued"] * 2
    assert "sweep: 0 of 2 runs" in capsys.readouterr().err  # they were trained in vain


def test_runs_that_no_program_takes_train_singly_with_the_reason(tmp_path, monkeypatch, capsys):
    def refuse(parts, threads):
        raise NotNative("the model cannot be recorded")

    monkeypatch.setattr("optlab.sweep.means.Native", refuse)
    do(seeds(tmp_path, 2), tmp_path, engine="native")
    assert states(tmp_path) == ["done"] * 2
    executions = [record.result.execution for record in collect(tmp_path)]
    assert all(e.endswith("(not stacked: the model cannot be recorded)") for e in executions)
    assert "\n2 runs train singly: the model cannot be recorded\n" in capsys.readouterr().err


def test_a_diverged_run_is_a_result(tmp_path):
    cells = ({"optimizer.lr": 1e-3}, {"optimizer.lr": 1e30})
    runs = sweep_of(tmp_path, *cells, common=("loss=mse", "optimizer=minibatch_gd"))
    do(runs, tmp_path)
    assert states(tmp_path) == ["done", "diverged"]
    diverged = read_result(runs[1].folder)
    assert diverged.cause.startswith("the training loss became")
    assert not math.isfinite(diverged.val["loss"])


def test_an_interrupt_records_what_was_in_training_and_leaves_the_rest(tmp_path, monkeypatch):
    runs = sweep_of(tmp_path, {"trainer.epochs": 6}, {"trainer.epochs": 7}, {"trainer.epochs": 8})
    with monkeypatch.context() as context:
        interrupt = KeyboardInterrupt("stopped by SIGTERM")
        fail_where(context, lambda part: part.trainer.epochs == 7, interrupt)
        with pytest.raises(KeyboardInterrupt):
            do(runs, tmp_path)
    assert states(tmp_path) == ["done", "killed", "queued"]
    result = read_result(runs[1].folder)
    assert (result.status, result.cause) == ("interrupted", "stopped by SIGTERM")
    do(runs, tmp_path)
    assert states(tmp_path) == ["done"] * 3


@pytest.mark.parametrize("engine", ["eager", "single", "native"])
@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_weights_that_are_left_are_those_that_were_scored(tmp_path, engine, checkpoint):
    common = ("optimizer=nag", "optimizer.lr=2.0", "trainer.epochs=5")
    runs = seeds(tmp_path, 2, common=common)
    do(runs, tmp_path, engine=engine, checkpoint=checkpoint)
    curves = read_metrics([run.folder for run in runs], ["loss/val"])
    for run in runs:
        training = build(run.config)
        weights = torch.load(run.folder / "weights.pt", weights_only=True)
        training.run.module.load_state_dict(weights)
        loss = training.evaluate(training.data.val)["loss"]
        own = curves.filter(pl.col("folder") == str(run.folder))["value"]
        expected = own.min() if checkpoint == "best" else read_result(run.folder).val["loss"]
        assert loss == pytest.approx(expected, rel=1e-5)


def test_no_weights_are_left_unless_asked_for(tmp_path):
    do(seeds(tmp_path, 1), tmp_path)
    assert not list(tmp_path.rglob("*.pt"))


def test_a_sweep_that_is_refused_leaves_no_ledger(tmp_path):
    one, other = seeds(tmp_path, 2)
    double = replace(other, config=one.config)
    with pytest.raises(ConfigError, match="have the same configuration"):
        do([one, double], tmp_path)
    with pytest.raises(ConfigError, match="have the same configuration"):
        do([one, double], tmp_path, plan_only=True)
    write_config(one.folder, other.config)
    found = read_result(_trained(other, tmp_path / "elsewhere"))
    write_result(one.folder, found)
    with pytest.raises(FolderTakenError, match="already holds a run of another configuration"):
        do([one], tmp_path)
    claim_for_grid(tmp_path, Grid(("optimizer",), ()))
    with pytest.raises(FolderTakenError, match="add its runs with --extend"):
        do([one], tmp_path)
    assert not (tmp_path / LEDGER_FILE).exists()


def _trained(run, sweep):
    moved = replace(run, folder=sweep / run.name)
    do([moved], sweep)
    return moved.folder


def test_runs_are_returned_where_the_ledger_has_them(tmp_path):
    (run,) = seeds(tmp_path, 1)
    (first,) = do([run], tmp_path)
    (again,) = do([replace(run, folder=tmp_path / "another name")], tmp_path)
    assert first.folder == again.folder == run.folder


def test_runs_that_train_singly_load_their_data_once(tmp_path, monkeypatch):
    loaded, create = [], registry.tasks.create

    def counted(*given):
        loaded.append(given)
        return create(*given)

    monkeypatch.setattr(registry.tasks, "create", counted)
    do(seeds(tmp_path, 3), tmp_path, engine="single")
    assert len(loaded) == 2  # to count their updates, and to train them


class Noisy(nn.Module):
    """Draws from torch's global generator wherever it is called."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.linear(x.flatten(1)) + torch.randn(())


def test_a_run_that_draws_globally_is_the_same_wherever_its_data_came_from(tmp_path, monkeypatch):
    def build(context):
        return Noisy(context.num_inputs, context.num_outputs)

    monkeypatch.setattr(registry.models, "create", lambda *given: build)
    runs = seeds(tmp_path / "two", 2)
    do(runs, tmp_path / "two", engine="single")
    do([replace(runs[1], folder=tmp_path / "one" / "seed=1")], tmp_path / "one", engine="single")
    assert left(tmp_path / "two")["seed=1"] == left(tmp_path / "one")["seed=1"]


def test_progress_is_shown_where_a_run_wants_it(tmp_path, capsys):
    loud = [
        replace(run, config={**run.config, "logger": {**run.config["logger"], "console": True}})
        for run in seeds(tmp_path / "loud", 2)
    ]
    do(loud, tmp_path / "loud")
    assert "sweep: 2 of 2 runs (2 done)" in capsys.readouterr().err
    do(seeds(tmp_path / "quiet", 2), tmp_path / "quiet")
    assert "sweep:" not in capsys.readouterr().err


def test_updates_are_counted_once_for_each_program(tmp_path, monkeypatch):
    counted = []
    monkeypatch.setattr("optlab.sweep.execute.parts_of", lambda *given: counted.append(given))
    do(seeds(tmp_path, 2), tmp_path)
    assert not counted  # measuring their memory had told
