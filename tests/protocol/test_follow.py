"""Protocols that are followed: tuned, chosen, run again, and gone on with after any end."""

import json
import shutil

import numpy as np
import pytest

from optlab.protocol import follow
from optlab.protocol.folders import PROTOCOL_FILE
from optlab.protocol.record import read_record
from tests.protocol.following import LINE, OWN_FILE, own_protocol, sweep
from tests.sweep.running import results

SEEDS = ("seed=7", "seed=8")


def outcome(folder):
    """Return all that was decided, and every result by stage and run."""
    record = json.loads((folder / "out" / PROTOCOL_FILE).read_text())
    stages = ("tune", "rerun", "budgets")
    found = {
        f"{stage}/{name}": (result.status, result.val, result.test)
        for stage in stages
        for name, result in results(folder / "out" / stage).items()
    }
    return record["winners"], record["targets"], found


def test_every_optimizer_has_its_trials_and_its_winners_their_reruns(followed):
    tuned = results(followed / "out" / "tune")
    assert len(tuned) == 2 * 4
    assert {"optimizer=adam,seed=0", "optimizer=nag,seed=0"} <= set(tuned)
    assert all(name.endswith("seed=0") for name in tuned)
    again = results(followed / "out" / "rerun")
    assert len(again) == 2 * 2
    assert all(name.endswith(SEEDS) for name in again)


def test_winners_are_the_best_of_their_budgets_and_scored_by_their_reruns(followed):
    record = read_record(followed / "out")
    tuned = results(followed / "out" / "tune")
    for winner in record.winners:
        own = [r for name, r in tuned.items() if f"optimizer={winner.optimizer}," in name]
        assert winner.tuned <= max(result.val["accuracy"] for result in own)
        if winner.budget == 4:
            assert winner.tuned == max(result.val["accuracy"] for result in own)
        stages = [results(followed / "out" / name) for name in ("rerun", "budgets")]
        every = {k: v for stage in stages for k, v in stage.items()}
        values = [word.removeprefix("optimizer.") for word in winner.drawn]
        names = [",".join([f"optimizer={winner.optimizer}", *values, seed]) for seed in SEEDS]
        assert list(winner.scores) == [every[name].val["accuracy"] for name in names]


def test_the_target_is_the_median_of_the_baselines_reruns(followed):
    record = read_record(followed / "out")
    (best,) = [w for w in record.winners if (w.optimizer, w.budget) == ("nag", 4)]
    assert record.targets["xor"]["value"] == np.median(best.scores)


def test_the_same_line_again_finds_nothing_to_do_and_says_the_same(copied, capsys):
    before = outcome(copied)
    assert sweep(*LINE) == 0
    assert "sweep: " not in capsys.readouterr().err
    assert outcome(copied) == before


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_stopped_in_any_stage_it_goes_on_to_the_same_end(folder, followed, monkeypatch, stage):
    train, calls = follow.train, []

    def stopped(*arguments):
        train(*arguments)
        calls.append(arguments)
        if len(calls) == stage:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(follow, "train", stopped)
        assert sweep(*LINE) == 130
    assert sweep("--resume", "out") == 0
    assert outcome(folder) == outcome(followed)


def test_winners_are_decided_once(copied, monkeypatch):
    """A failed trial that is tried again later must not change what was run again."""
    monkeypatch.setattr("optlab.protocol.follow.winners", lambda *_: pytest.fail("chosen again"))
    shutil.rmtree(copied / "out" / "rerun")
    assert sweep(*LINE) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([*LINE, "trainer.batch_size=2"], "with another line"),
        (["protocol=quick", *LINE[1:]], "follows protocol own.yaml"),
        (LINE[1:], "go on with optlab sweep --resume out"),
        (["optimizer=adam", "sweep.dir=out/tune", "--extend"], "optlab sweep --resume out"),
    ],
)
def test_another_protocol_or_line_is_refused_in_its_folder(copied, capsys, line, message):
    before = outcome(copied)
    assert sweep(*line) == 2
    assert message in capsys.readouterr().err
    assert outcome(copied) == before


@pytest.mark.parametrize("word", ["optimizer.beta3=1", "trainer.epochs=-1", "optimizer.lr=0.1"])
def test_of_a_line_that_cannot_be_trained_nothing_stays(folder, word):
    assert sweep(*LINE, word) == 2
    assert not (folder / "out").exists()


def test_several_tasks_and_schedules_are_tuned_apart(folder):
    text = OWN_FILE.replace("[1, 2, 4]", "[1, 2]") + "schedules: [constant, cosine]\n"
    own_protocol(folder, text)
    line = [word for word in LINE if not word.startswith("task=")]
    assert sweep(*line, "task=and,xor", "--quiet") == 0
    record = read_record(folder / "out")
    largest = [w for w in record.winners if w.budget == 2]
    assert len(largest) == 2 * 2 * 2
    assert set(record.targets) == {"and", "xor"}
    assert len(results(folder / "out" / "rerun")) == 2 * 2 * 2 * 2


def test_baselines_for_the_target_alone_have_stages_of_their_own(folder):
    text = OWN_FILE.replace("[1, 2, 4]", "[1, 2]").replace(
        "{baselines: [nag]}", "{baselines: [nag], trials: 3, seeds: [11, 12, 13]}"
    )
    own_protocol(folder, text)
    line = [*LINE, "optimizer.beta2=0.99"]
    line[1] = "optimizer=adam"
    assert sweep(*line, "--quiet") == 0
    record = read_record(folder / "out")
    assert {w.optimizer for w in record.winners} == {"adam"}
    (baseline,) = record.baselines
    assert (baseline.optimizer, baseline.budget, len(baseline.scores)) == ("nag", 3, 3)
    assert record.targets["xor"]["value"] == np.median(baseline.scores)
    assert len(results(folder / "out" / "baselines" / "tune")) == 3


def test_diverged_trials_are_misses_and_no_reason_to_stop(folder):
    own_protocol(folder, OWN_FILE.replace("nag: {lr: {log: [1.0e-4, 1.0]}}", DIVERGING))
    line = ["task=line", "model=linear", "trainer.epochs=20", "logger.console=false"]
    assert sweep(LINE[0], "optimizer=momentum", *line, LINE[-1], "--quiet") == 0
    record = read_record(folder / "out")
    assert record.winners[-1].misses >= 1
    statuses = [r.status for r in results(folder / "out" / "tune").values()]
    assert statuses.count("diverged") == record.winners[-1].misses


DIVERGING = "momentum: {lr: {log: [1.0e-4, 1.0e+9]}}"
