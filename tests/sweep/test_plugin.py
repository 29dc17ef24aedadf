"""optlab's sweeper and launcher: chosen by whom, with what settings, and beside Hydra's own."""

import sys
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from optlab import registry
from optlab.cli import main
from optlab.sweep.settings import SweepSettings
from tests.sweep.multiruns import planned
from tests.sweep.running import TINY, curve, results

BOTH = ["hydra/sweeper=optlab", "hydra/launcher=optlab"]
LOG = "optimizer.lr=tag(log,interval(1e-3,1e-1))"


def names(plan):
    return [run.name for run in plan[0]]


def test_a_sweep_is_executed_as_one_list_of_runs_in_one_folder(folder, monkeypatch):
    code, plan = planned(monkeypatch, *TINY, "optimizer=adam,sgd", "seed=0,1", "sweep.dir=out")
    runs, where, settings = plan
    assert (code, where) == (0, Path("out"))
    assert [run.name for run in runs] == [
        f"optimizer={name},seed={seed}" for name in ("adam", "sgd") for seed in (0, 1)
    ]
    assert {run.folder.parent for run in runs} == {where}
    assert runs[0].chosen >= {"optimizer", "seed", "task", "model"}
    assert "activation" not in runs[0].chosen
    assert settings.grid.varied == ("optimizer", "seed")
    assert settings == SweepSettings(grid=settings.grid, line=settings.line)


def test_what_was_typed_starts_the_same_sweep_again(folder, monkeypatch):
    line = [*TINY, "optimizer=adam,nadam", "optimizer.beta1=0.5", LOG]
    _, first = planned(monkeypatch, *line, "search=random", "trials=2", "--extend")
    assert first[2].extend
    _, second = planned(monkeypatch, *first[2].line)
    assert names(first) == names(second)
    assert first[2].line == second[2].line
    assert not second[2].extend


def test_train_takes_both_parts_by_name(folder, monkeypatch):
    line = [*TINY, "seed=0,1", "sweep.dir=out"]
    _, plan = planned(monkeypatch, *line, *BOTH, command=("train", "-m"))
    assert names(plan) == ["seed=0", "seed=1"]


def test_settings_come_from_the_line(folder, monkeypatch):
    words = ["sweep.engine=eager", "sweep.workers=2", "search=halton", "trials=3"]
    _, plan = planned(monkeypatch, *TINY, LOG, "seed=0,1", *words, "--plan")
    settings = plan[2]
    assert (settings.engine, settings.workers, settings.plan_only) == ("eager", 2, True)
    assert (settings.search, settings.trials) == ("halton", 3)
    assert len(plan[0]) == 6


def test_a_plan_alone_leaves_no_trace(folder, monkeypatch):
    code, plan = planned(monkeypatch, *TINY, "seed=0,1", "--plan")
    assert code == 0
    assert plan[2].plan_only
    assert list(folder.iterdir()) == []


def test_options_of_a_swept_choice_need_not_be_those_of_the_default(folder, monkeypatch):
    line = [*TINY, "optimizer=momentum,nag", "optimizer.momentum=0.5"]
    _, plan = planned(monkeypatch, *line)
    assert names(plan) == ["optimizer=momentum", "optimizer=nag"]
    assert {run.config["optimizer"]["momentum"] for run in plan[0]} == {0.5}


def test_a_resolved_configuration_can_be_swept(train, monkeypatch):
    start = train("start", "optimizer=nag", "optimizer.momentum=0.5")
    _, plan = planned(monkeypatch, str(start / "config.yaml"), "seed=0,1")
    assert names(plan) == ["seed=0", "seed=1"]
    assert {run.config["optimizer"]["momentum"] for run in plan[0]} == {0.5}


def test_the_sweeper_has_words_of_its_own_as_hydras_has(folder, monkeypatch):
    _, plan = planned(monkeypatch, *TINY, "hydra.sweeper.params={seed:'0,1'}", "optimizer=sgd,nag")
    assert names(plan)[:2] == ["seed=0,optimizer=sgd", "seed=0,optimizer=nag"]


@pytest.fixture
def half(folder, monkeypatch):
    """Write a plugin that registers ``schedule=half``, and forget it afterwards."""
    monkeypatch.syspath_prepend(str(folder))
    (folder / "swept_plugin.py").write_text(
        "from dataclasses import dataclass\n"
        "from optlab import registry\n"
        "@registry.schedules.register('half')\n"
        "@dataclass(frozen=True)\n"
        "class Half:\n"
        "    share: float = 0.5\n"
        "    def factor(self, progress):\n        return self.share\n"
    )
    yield "plugins=[swept_plugin]"
    sys.modules.pop("swept_plugin", None)
    registry.schedules._entries.pop("half", None)
    ConfigStore.instance().repo["schedule"].pop("half.yaml", None)


def test_choices_and_options_of_a_plugin_can_be_swept(half, monkeypatch):
    line = [*TINY, half, "schedule=half,constant"]
    _, plan = planned(monkeypatch, *line)
    assert [run.config["schedule"] for run in plan[0]] == [
        {"name": "half", "share": 0.5},
        {"name": "constant", "warmup": 0.0},
    ]


@pytest.mark.parametrize("part", ["hydra/launcher=basic", "hydra/sweeper=basic"])
def test_either_part_works_with_hydras_other_half(folder, monkeypatch, part):
    line = [*TINY, "seed=0,1", "sweep.dir=out", part]
    if part == "hydra/launcher=basic":
        assert main(["sweep", *line]) == 0
        assert set(results(folder / "out")) == {"seed=0", "seed=1"}
    else:
        _, plan = planned(monkeypatch, *line)
        assert names(plan) == ["seed=0", "seed=1"]


def test_a_search_with_hydras_launcher_gives_the_run_alone(train, folder):
    line = [*TINY, LOG, "search=halton", "trials=2", "hydra/launcher=basic", "sweep.dir=out"]
    assert main(["sweep", *line]) == 0
    for name in results(folder / "out"):
        alone = train(name.replace("=", "_"), f"optimizer.{name}")
        assert curve(folder / "out" / name) == curve(alone)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["optimizer=adam,adm"], "unknown optimizer 'adm'; known, nearest first: adam,"),
        (["trainer.epoch=1,2"], "unknown option of trainer 'epoch'; known, nearest first: epochs,"),
        (["optimizer=adam,sgd", "optimizer.beta1=0.5"], "sgd: optimizer=sgd has no option 'beta1'"),
        (["optimizer.lr=0.1,-5"], "1 of 2 jobs cannot run, and none was started: lr=-5: lr must"),
        (["trainer.batch_size=0,1"], "batch_size=0: batch_size must be in [1, inf), got 0"),
        (["optimizer.lr=-1,-2"], "lr=-2: lr must be in [0, inf), got -2.0"),
        (["optimizer=adam,adamw", "regularizer=decay"], "weights would decay twice: adamw has"),
        (["task=line", "loss=auto,sparse_cce,cce"], "none was started"),
        (["task=xor", "model=linear", "activation=relu,tanh"], "would do nothing: model"),
        (["schedule=step", "schedule.every=0,0.5"], "every must be in (0, 1], got 0"),
        (["optimizer=foreign", "optimizer.lrr=1,2"], "unexpected keyword argument 'lrr'"),
        (["seed=0,-1"], "seed must be in [0, inf), got -1 (seed)"),
        (["plugins=[nowhere],[]", "seed=0"], "cannot import plugin 'nowhere'"),
        (["seed=0,1", "device=cuda:64"], "device 'cuda:64' was asked for, but PyTorch sees"),
        (["sweep.workers=0", "seed=0,1"], "workers must be in [1, inf), got 0 (sweep.workers)"),
        (["sweep.engine=quick", "seed=0,1"], "engine must be one of auto, native, compiled, eager"),
        (["sweep.dir="], "sweep.dir must be a folder, got nothing"),
        (["sweep.workers=1,2"], "sweep.workers is one value for the whole sweep"),
        (["+sweep.nonsense=1"], "unknown option of sweep 'nonsense'; known, nearest first:"),
        (
            [LOG],
            "add sweep.search=halton (or random) and sweep.trials=N, or list values with range",
        ),
        (["search=halton", "trials=0", LOG], "trials must be"),
        (["seed=0,1", "sweep.dir=out_${seed}"], "a sweep has one folder"),
        (["seed=0,1", "--resume", "sweep.dir=out"], "there is no sweep in out to resume"),
        (["--resume", "nowhere"], "there is no sweep in 'nowhere' to resume"),
        (["seed=0,1", "--plan", "hydra/launcher=basic"], "--plan is of optlab's launcher"),
        (
            ["seed=0,1", "sweep.engine=eager", "hydra/launcher=basic"],
            "sweep.engine would do nothing",
        ),
        ([LOG, "search=random", "hydra/sweeper=basic"], "sweep.search would do nothing"),
        ([LOG, "hydra/sweeper=basic"], "Hydra's sweeper does not know interval(...)"),
    ],
)
def test_a_mistake_is_told_before_anything_is_executed(folder, monkeypatch, capfd, line, message):
    is_whole = line[0].startswith(("task=", "--resume"))
    code, plan = planned(monkeypatch, *([] if is_whole else TINY), *line)
    assert (code, plan) == (2, None)
    assert message in capfd.readouterr().err
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_each_reason_is_told_once_with_the_first_job_that_has_it(folder, monkeypatch, capfd):
    line = [*TINY, "optimizer.lr=0.1,-1", "seed=0,1,-3"]
    assert planned(monkeypatch, *line)[0] == 2
    assert capfd.readouterr().err.splitlines() == [
        "optlab sweep: 4 of 6 jobs cannot run, and none was started:",
        "  lr=0.1,seed=-3 and 1 more: seed must be in [0, inf), got -3 (seed)",
        "  lr=-1,seed=0 and 1 more: lr must be in [0, inf), got -1.0 (optimizer.lr)",
    ]


def test_words_of_sweeps_are_refused_for_a_single_run(folder, capsys):
    assert main(["train", "task=xor", "sweep.engine=eager"]) == 2
    assert "sweep.engine is for a sweep" in capsys.readouterr().err
