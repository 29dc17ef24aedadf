import pytest

from optlab.report.lint.budgets import unequal_budgets, unequal_gradients
from tests.report.grids import config, evidence, grid, run

ADAM = "optimizer=adam optimizer.lr=0.001,0.01,0.1"


def test_more_rates_for_one_are_an_unequal_budget() -> None:
    runs = [*grid(["adam"], seeds=[0]), *grid(["nag"], [0.01], [0])]
    (found,) = unequal_budgets(evidence(runs, ADAM, "optimizer=nag optimizer.lr=0.01"))
    assert "on blobs: 3 settings of lr for adam, 1 setting for nag" in found.sentence
    assert found.command == (
        "optlab sweep 'optimizer=choice(nag)' optimizer.lr=0.001,0.01,0.1 "
        "sweep.dir=runs/compare --extend"
    )


def test_rates_of_ones_own_are_an_equal_budget() -> None:
    assert unequal_budgets(evidence([*grid(["adam"]), *grid(["nag"], [1.0, 2.0, 3.0])])) == []


@pytest.mark.parametrize(
    ("own", "word"),
    [
        ((0.01, 0.1), "0.001,0.0032,0.01,0.1"),
        ((0.01,), "0.001,0.0032,0.01,0.1"),
    ],
)
def test_options_of_ones_own_are_made_up_for_by_rates(own: tuple[float, ...], word: str) -> None:
    two = [
        run(optimizer="momentum", lr=lr, optimizer__momentum=m)
        for lr in (0.001, 0.1)
        for m in (0.9, 0.99)
    ]
    runs = [*two, *grid(["adam"], own, [0])]
    (found,) = unequal_budgets(evidence(runs, f"optimizer=adam optimizer.lr={own[0]}"))
    assert "4 settings of lr and momentum for momentum" in found.sentence
    assert f"optimizer.lr={word} " in found.command


def test_where_rates_cannot_add_up_there_is_no_command() -> None:
    three = [run(optimizer="momentum", optimizer__momentum=m) for m in (0.8, 0.9, 0.99)]
    two = [run(optimizer="adam", optimizer__beta1=b) for b in (0.8, 0.9)]
    (found,) = unequal_budgets(evidence([*three, *two], "optimizer=adam optimizer.beta1=0.8,0.9"))
    assert found.command == ""


def test_searches_get_more_trials() -> None:
    word = "optimizer.lr=tag(log,interval(1e-4,1))"
    lines = [f"optimizer={n} {word} sweep.trials={k}" for n, k in (("adam", 4), ("nag", 2))]
    runs = [*grid(["adam"], (0.1, 0.2, 0.3, 0.4), [0]), *grid(["nag"], (0.1, 0.2), [0])]
    (found,) = unequal_budgets(evidence(runs, *lines))
    assert f"'optimizer=choice(nag)' '{word}' sweep.trials=4 sweep.dir" in found.command


def test_what_only_some_ran_with_is_not_counted_here() -> None:
    runs = [*grid(["adam"]), *grid(["adam"], schedule="cosine"), *grid(["nag"])]
    assert unequal_budgets(evidence(runs)) == []


def test_batches_that_others_try_are_none_of_stochastic_gradient_descent() -> None:
    sizes = [each for size in (16, 64) for each in grid(["adam"], trainer__batch_size=size)]
    assert unequal_budgets(evidence([*sizes, *grid(["sgd"], trainer__batch_size=1)])) == []


def test_settings_that_are_missing_were_planned() -> None:
    runs = [*grid(["adam"], seeds=[0]), *grid(["nag"], [0.01], [0])]
    holes = [config(optimizer="nag", lr=lr) for lr in (0.001, 0.1)]
    assert unequal_budgets(evidence(runs, ADAM, missing=holes)) == []


def test_twice_the_gradients_for_an_epoch_are_told() -> None:
    once = [run(seed=s, about={"row_gradients": 100}) for s in range(3)]
    twice = [run(optimizer="sam", seed=s, about={"row_gradients": 200}) for s in range(3)]
    (found,) = unequal_gradients(evidence([*once, *twice]))
    assert "sam takes 2 times the gradients of adam" in found.sentence
    assert unequal_gradients(evidence([*once, run(optimizer="nag")])) == []
