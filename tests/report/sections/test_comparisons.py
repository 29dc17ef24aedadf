import math

import numpy as np
import pytest

from optlab.report.charts import Chart, Views
from optlab.report.page import Section
from optlab.report.sections.comparisons import comparisons
from tests.report.grids import run
from tests.report.trials import evidence, trials

LUCK = np.sin(np.arange(10)) / 50


def section(*means: float, seeds: int = 10, task: str = "digits") -> Section:
    names = ("adam", "sgd", "lion", "muon")
    values = {n: list(m + LUCK[:seeds]) for n, m in zip(names, means, strict=False)}
    found = comparisons(evidence(trials(values, task=task)))
    assert found is not None
    return found


def test_it_says_which_differences_hold() -> None:
    found = section(0.9, 0.8, 0.7)
    assert any("digits: adam is the best, and ahead of sgd and lion" in s for s in found.sentences)
    assert not any("Too few seeds" in s for s in found.sentences)
    (table,) = found.tables
    keys = [column.key for column in table.columns]
    assert [row[keys.index("holds")] for row in table.rows] == [True, True]
    assert table.rows[0][keys.index("difference")] == pytest.approx(0.1)


def test_it_says_who_is_better_on_the_seeds_that_are_compared() -> None:
    runs = trials({"adam": [0.8] * 8, "sgd": [0.9] * 8})
    runs += trials({"adam": [0.99] * 40}, seeds=range(100, 140))
    found = comparisons(evidence(runs))
    assert found is not None
    said = " ".join(found.sentences)
    assert "ahead of" not in said
    assert "On the seeds that are compared sgd is better: adam leads by its other seeds." in said


def test_seeds_that_can_show_nothing_are_called_too_few() -> None:
    sentences = " ".join(section(0.9, 0.8, 0.7, seeds=5).sentences)
    assert "no difference from it holds for sgd and lion" in sentences
    assert "5 pairs cannot give a p-value below 0.0625, times 3" in sentences
    assert "at least 7 seeds" in sentences


def test_one_seed_is_a_sentence_and_no_table() -> None:
    found = section(0.9, 0.8, seeds=1)
    assert "share one seed: no difference can be tested" in found.sentences[0]
    assert (found.tables, found.figures) == ((), ())


def test_cells_that_were_picked_on_the_same_seeds_are_called_flattered() -> None:
    picked = trials({"adam 0.1": [0.9, 0.8], "adam 1": [0.7, 0.6], "sgd 0.1": [0.5, 0.4]})
    found = comparisons(evidence(picked))
    assert found is not None
    assert any("up to 2 of an optimizer on the same seeds" in s for s in found.sentences)
    fresh = trials({"adam 0.1": [0.9, 0.8], "sgd 0.1": [0.5, 0.4]}, seeds=range(5, 7))
    found = comparisons(evidence([*picked, *fresh]))
    assert found is not None
    assert not any("flattered, and" in s for s in found.sentences)
    assert any("seeds on which only the best cells ran" in s for s in found.sentences)
    assert not any("winner's curse" in s for s in section(0.9, 0.8).sentences)


def test_the_chart_has_each_other_optimizer_with_its_interval() -> None:
    (chart,) = section(0.9, 0.8, 0.7).figures
    assert isinstance(chart, Chart)
    assert chart.y.names == ("sgd (p = 0.0059)", "lion (p = 0.0059)")
    assert [float(series.x[0]) for series in chart.series] == pytest.approx([0.1, 0.2])
    assert chart.marks[0].at == 0.0


def test_several_tasks_have_a_switch_and_a_column() -> None:
    losses = {"adam": [0.1, 0.2, 0.3], "sgd": [0.4, math.inf, 0.6]}
    records = trials(losses, by="loss") + trials(losses, by="loss", task="xor")
    found = comparisons(evidence(records))
    assert found is not None
    (figure,) = found.figures
    assert isinstance(figure, Views)
    assert list(figure.choices) == ["digits", "xor"]
    (table,) = found.tables
    assert [row[0] for row in table.rows] == ["digits", "xor"]
    assert any(s.endswith("That is so on every task.") for s in found.sentences)


@pytest.mark.parametrize("seeds", [1, 7])
def test_where_seeds_change_nothing_one_run_says_all(seeds: int) -> None:
    function = {"model": "point", "task": "rosenbrock", "task__noise": 0.0}
    values = {"adam": 0.6, "nag": 0.9, "sgd": 0.9}
    runs = [
        run(value, optimizer=name, lr=0.01, seed=seed, **function)
        for name, value in values.items()
        for seed in range(seeds)
    ]
    found = comparisons(evidence(runs))
    assert found is not None
    assert (found.tables, found.figures) == ((), ())
    first, second = found.sentences
    assert first.startswith("Seeds change nothing here (a test function without noise")
    assert second == "rosenbrock: nag is the best, with sgd, ahead of adam."


def test_tasks_in_which_seeds_change_nothing_are_told_apart_from_the_others() -> None:
    noisy = {"adam": list(0.9 + LUCK), "sgd": list(0.8 + LUCK)}
    still = trials({"adam": [0.9] * 10, "sgd": [0.8] * 10}, task="xor")
    found = comparisons(evidence([*trials(noisy), *still]))
    assert found is not None
    said = " ".join(found.sentences)
    assert "digits: adam is the best, and ahead of sgd by more than the luck" in said
    assert "Seeds change nothing on xor (" in said
    assert said.endswith("xor: adam is the best, ahead of sgd.")
    assert said.count("more than the luck") == 1
    assert len(found.tables[0].rows) == 1


def test_one_optimizer_leaves_the_section_out() -> None:
    assert comparisons(evidence(trials({"adam 0.1": [0.9, 0.8], "adam 1": [0.3, 0.2]}))) is None
