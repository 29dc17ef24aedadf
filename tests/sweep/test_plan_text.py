"""The printed plan: the same text for the same plan, in 80 columns."""

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from optlab.sweep.plan import grouped
from optlab.sweep.plan_text import render_plan, size
from optlab.sweep.program import Footprint, Plan, Program, array_sizes
from tests.sweep.planning import planned_all

KIB = 2**10


def drafted(changes, most=100, single=()):
    """Return a plan with made-up memory; programs numbered in ``single`` train singly."""
    runs = [
        replace(run, folder=Path("sweep", ",".join(f"{k}={v}" for k, v in changed.items())))
        for run, changed in zip(planned_all(*changes), changes, strict=True)
    ]
    programs = []
    for number, group in enumerate(grouped(runs), start=1):
        footprint = Footprint(50 * number * KIB, 700 * KIB)
        arrays = array_sizes(len(group.runs), most)
        made = Program(number, group.runs, "native", group.apart, arrays, footprint)
        programs.append(made.singly("it looks at its numbers") if number in single else made)
    return Plan(tuple(programs))


def grid(**axes):
    changes = [{}]
    for key, values in axes.items():
        changes = [{**changed, key: value} for changed in changes for value in values]
    return changes


def test_one_program():
    names = ["relu", "tanh"]
    activations = [{"name": name} for name in names]
    plan = drafted(grid(activation=activations, optimizer__lr=[0.1, 0.01], seed=range(30)))
    assert render_plan(plan) == dedent(
        """\
        120 runs, 1 stacked program

        program   runs  engine    arrays           a run      array
              1    120  native    2 of 60       50.0 KiB    3.6 MiB

        varying:
          activation: relu, tanh
          optimizer.lr: 0.1, 0.01
          seed: 0, 1, 2, 3, 4, 5, 6, 7 and 22 more
        """
    )


def test_programs_apart_by_one_option_have_it_in_their_rows():
    changes = grid(model__hidden=[[8], [16], [32]], seed=[0, 1, 2])
    plan = drafted(changes[:-1], most=2, single={2})
    assert render_plan(plan) == dedent(
        """\
        8 runs, 2 stacked programs, 3 trained singly

        program   runs  engine    arrays           a run      array  set apart by
              1      3  native    2 of 1-2      50.0 KiB  800.0 KiB  hidden=[8]
              2      3  single    3 of 1               -          -  hidden=[16]
              3      2  native    1 of 2       150.0 KiB    1.0 MiB  hidden=[32]

        varying in every program:
          seed: 0, 1, 2 (2-3 in each)

        singly, program 2: it looks at its numbers
          model__hidden=[16],seed=0
          model__hidden=[16],seed=1
          model__hidden=[16],seed=2
        """
    )


def test_programs_apart_by_more_have_it_below_their_rows():
    changes = grid(model__hidden=[[8]], model__dropout=[0.0, 0.2], trainer__dtype=["float64"])
    plan = drafted([*changes, {"trainer__batch_size": "full", "task__noise": 0.5}])
    assert render_plan(plan) == dedent(
        """\
        3 runs, 3 stacked programs

        program   runs  engine    arrays           a run      array
              1      1  native    1 of 1        50.0 KiB  750.0 KiB
                 batch_size=32, dtype=float64, dropout=0.0, hidden=[8]
              2      1  native    1 of 1       100.0 KiB  800.0 KiB
                 batch_size=32, dtype=float64, dropout=above 0, hidden=[8]
              3      1  native    1 of 1       150.0 KiB  850.0 KiB
                 batch_size=full, dtype=float32, dropout=0.0, hidden=[64], noise=0.5
        """
    )


def test_options_that_vary_in_some_programs_are_said_to():
    changes = [*grid(model__hidden=[[8], [16]], seed=[0, 1]), {"model__hidden": [4]}]
    changes += grid(model__hidden=[[32]], optimizer__lr=[0.1, 0.2, 0.3])
    text = render_plan(drafted(changes))
    assert text.endswith(
        "\nvarying in programs 1-2:\n  seed: 0, 1\n"
        "\nvarying in program 4:\n  optimizer.lr: 0.1, 0.2, 0.3\n"
    )


def test_of_a_random_search_every_programs_values_are_not_listed():
    changes = [
        {"model__hidden": [8 * (i % 40 + 1)], "optimizer__lr": 0.001 * i, "seed": i % 3}
        for i in range(400)
    ]
    text = render_plan(drafted(changes))
    assert "392 more (10 in each)" in " ".join(text.split())
    assert "  seed: 0, 1, 2\n" in text
    assert len(text.splitlines()) < 50


def test_of_hundreds_of_programs_the_first_have_rows():
    text = render_plan(drafted(grid(model__hidden=[[n] for n in range(1, 301)], seed=[0, 1])))
    assert text.startswith("600 runs, 300 stacked programs\n")
    assert "\nand 200 more programs of 400 runs\n" in text


def test_of_many_single_runs_a_few_are_named():
    text = render_plan(drafted(grid(seed=range(1500)), single={1}))
    assert text.startswith("1,500 runs, 1,500 trained singly\n")
    assert text.endswith("  seed=2\n  and 1,497 more\n")


def test_a_plan_without_runs_says_so():
    assert render_plan(Plan(())) == "0 runs\n"


def test_what_follows_from_a_name_is_not_listed():
    optimizers = [{"name": "adam", "lr": 0.001, "beta1": 0.9}, {"name": "lion", "lr": 0.0001}]
    text = render_plan(drafted(grid(optimizer=optimizers)))
    assert "  optimizer: adam, lion\n" in text
    assert "lr" not in text


def test_options_of_one_name_in_two_sections_keep_their_sections():
    one = {"model": {"name": "resnet", "depth": 8}, "task": {"name": "a", "depth": 1}}
    other = {"model": {"name": "resnet", "depth": 14}, "task": {"name": "a", "depth": 2}}
    text = render_plan(drafted([one, other]))
    assert "model.depth=14" in text
    assert "task.depth=2" in text


@pytest.mark.parametrize("num_programs", [2, 40, 300])
def test_lines_fit_a_terminal(num_programs):
    changes = grid(
        model__hidden=[[n, n + 1, n + 2] for n in range(1, num_programs + 1)],
        optimizer__lr=[10.0**-n for n in range(1, 20)],
        model__dropout=[0.0, 0.5],
    )
    text = render_plan(drafted(changes, single={2}))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (999.96 * 2**10, "1.0 MiB"),
        (2**40, "1.0 TiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes_are_short(num_bytes, shown):
    assert size(num_bytes) == shown
