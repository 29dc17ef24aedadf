from pathlib import Path

import pytest
import yaml

from optlab.report.lint.compared import OWN_BATCHES
from optlab.report.lint.crossing import confounded
from tests.report.grids import config, evidence, grid, run

CONFIGS = Path(__file__).parents[3] / "configs" / "optimizer"
LINES = ("optimizer=adam optimizer.lr=0.01", "optimizer=nag optimizer.lr=0.01")


def of(key: str, *values: object, names: tuple[str, ...] = ("adam", "nag")) -> list:
    return [run(optimizer=name, **{key: value}) for name, value in zip(names, values, strict=False)]


@pytest.mark.parametrize(
    ("key", "values", "name", "word"),
    [
        ("schedule", ("constant", "cosine"), "unequal_schedules", "schedule=constant,cosine"),
        ("schedule__warmup", (0.0, 0.1), "unequal_schedules", "schedule.warmup=0.0,0.1"),
        ("trainer__batch_size", (32, 64), "unequal_data_order", "trainer.batch_size=32,64"),
        ("trainer__epochs", (1, 2), "unequal_training", "trainer.epochs=1,2"),
        ("trainer__patience", (None, 3), "unequal_training", "trainer.patience=null,3"),
        ("trainer__eval_every", (1, 2), "unequal_cadence", "trainer.eval_every=1,2"),
        ("trainer__dtype", ("float32", "float64"), "unequal_arithmetic", "float32,float64"),
        ("init", ("zeros", "he_normal"), "unequal_options", "init=zeros,he_normal"),
        ("model__hidden", ([8], [8, 8]), "unequal_options", "'model.hidden=[8],[8,8]'"),
        ("task", ("blobs", "digits"), "unequal_tasks", "task=blobs,digits"),
        ("task__data_seed", (0, 1), "unequal_tasks", "task.data_seed=0,1"),
    ],
)
def test_what_only_some_optimizers_ran_with(
    key: str, values: tuple[object, ...], name: str, word: str
) -> None:
    (found,) = confounded(evidence(of(key, *values), *LINES))
    assert found.name == name
    assert found.command.count(word) == 2, "each line has all values"
    crossed = [*of(key, *values), *of(key, *values[::-1])]
    assert confounded(evidence(crossed)) == []


def test_the_sentence_says_who_had_what() -> None:
    runs = of("schedule", "constant", "cosine", "cosine", names=("adam", "nag", "sgd"))
    (found,) = confounded(evidence(runs))
    assert "on blobs: schedule constant with adam, cosine with" in found.sentence
    assert "A better schedule looks like a better optimizer." in found.sentence


def test_batches_that_are_the_method_are_no_objection() -> None:
    own = {"batch_gd": "full", "sgd": 1, "minibatch_gd": 32, "adam": 16, "nag": 16}
    runs = of("trainer__batch_size", *own.values(), names=tuple(own))
    assert confounded(evidence(runs)) == []
    (found,) = confounded(
        evidence([*runs, run(optimizer="lion", trainer__batch_size=64)], "optimizer=glob(*)")
    )
    assert "sgd" not in found.sentence
    assert found.command.startswith("optlab sweep optimizer=adam,lion,nag ")


def test_the_optimizers_with_batches_of_their_own_are_those_of_the_files() -> None:
    files = {path.stem: yaml.safe_load(path.read_text()) for path in CONFIGS.glob("*.yaml")}
    fixing = {name for name, options in files.items() if "batch_size" in options.get("trainer", {})}
    assert fixing == set(OWN_BATCHES)


def test_runs_that_are_missing_are_no_difference() -> None:
    runs = [*grid(seeds=[0], init="zeros"), *grid(["adam"], seeds=[0], init="ones")]
    assert [o.name for o in confounded(evidence(runs))] == ["unequal_options"]
    holes = [config(optimizer="nag", lr=lr, init="ones") for lr in (0.001, 0.01, 0.1)]
    assert confounded(evidence(runs, missing=holes)) == []


def test_what_a_line_chooses_is_not_crossed_with_its_options() -> None:
    line = "optimizer=adam,nag regularizer=l2,none"
    (found,) = confounded(evidence(of("regularizer__l2", 0.0, 0.1), line))
    assert found.command == ""


def test_an_option_that_a_choice_has_not_cannot_be_typed_for_all() -> None:
    runs = [*of("activation__slope", 0.1, 0.2, names=("adam", "lion")), run(optimizer="nag")]
    (found,) = confounded(evidence(runs, "optimizer=adam,lion,nag"))
    assert (found.name, found.command) == ("unequal_options", "")
