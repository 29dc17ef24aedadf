from collections.abc import Callable

import pytest

from optlab.report.ranking import rank
from optlab.report.text import render_text
from optlab.results import RunRecord

MakeRun = Callable[..., RunRecord]


@pytest.fixture
def runs(make_run: MakeRun) -> list[RunRecord]:
    values = {("adam", 0): 0.9, ("adam", 1): 0.8, ("sgd", 0): 0.4}
    made = [
        make_run(
            {"seed": seed, "optimizer": {"name": name}},
            val={"loss": 0.5, "accuracy": value},
            test={"accuracy": value / 2},
        )
        for (name, seed), value in values.items()
    ]
    made.append(make_run({"seed": 1, "optimizer": {"name": "sgd"}}, status="diverged"))
    return made


def test_text_has_one_line_per_cell_in_order_and_says_how_it_was_ranked(
    runs: list[RunRecord],
) -> None:
    text = render_text(rank(runs))
    lines = text.splitlines()
    assert lines[0].startswith("4 runs in 2 cells (1 diverged); ranked by mean validation accuracy")
    assert "a run that diverged or failed counts as accuracy 0" in lines[0]
    rows = [line.split() for line in lines if line.split()[:1] in (["1"], ["2"])]
    assert [row[:5] for row in rows] == [
        ["1", "adam", "2", "0", "0.8500"],
        ["2", "sgd", "2", "1", "0.2000"],
    ]
    assert "\x1b" not in text


def test_text_leaves_out_columns_of_ends_that_no_run_came_to(runs: list[RunRecord]) -> None:
    assert "diverged" in render_text(rank(runs))
    assert "diverged" not in render_text(rank(runs[:3]))
    assert "interrupted" not in render_text(rank(runs))


def test_a_limited_text_says_how_many_cells_it_leaves_out(runs: list[RunRecord]) -> None:
    text = render_text(rank(runs), limit=1)
    assert "... and 1 more cells" in text
    assert "sgd" not in text


def test_text_never_wraps_or_cuts_a_long_value(make_run: MakeRun) -> None:
    names = ["a" * 90, "b" * 90, "c" * 90]
    configs = [{"seed": 0, "init": {"name": n}, "model": {"name": n}} for n in names]
    text = render_text(rank([make_run(c, val={"loss": 1.0}) for c in configs]))
    assert all(name in text for name in names)


def test_text_shows_each_task_under_its_name(make_run: MakeRun) -> None:
    configs = [{"seed": 0, "task": {"name": name}} for name in ("digits", "moons")]
    text = render_text(rank([make_run(c, val={"loss": 1.0}) for c in configs]))
    assert [line for line in text.splitlines() if line in ("digits", "moons")] == [
        "digits",
        "moons",
    ]
    assert text.count("digits") == 1  # not in a column, too


def test_text_says_what_an_only_task_and_an_only_optimizer_are(make_run: MakeRun) -> None:
    config = {"seed": 0, "task": {"name": "digits"}, "optimizer": {"name": "adam"}}
    lines = render_text(rank([make_run(config, val={"loss": 1.0})])).splitlines()
    assert "digits" in lines
    assert lines[-1].split()[:3] == ["1", "adam", "1"]


def test_text_says_how_runs_ended_that_are_not_scored(make_run: MakeRun) -> None:
    runs = [make_run({"seed": 0}, val={"loss": 1.0}), make_run({"seed": 1}, status="interrupted")]
    text = render_text(rank(runs))
    assert "2 runs in 1 cell (1 interrupted)" in text
    assert "interrupted runs are counted, not scored" in text
