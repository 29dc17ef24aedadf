import pytest

from optlab.dashboard.chosen import MOST_BYTES, MOST_RUNS, chosen, most_cells, names
from optlab.report.ranking import Ranking, rank
from tests.report.conftest import MakeRun

OPTIMIZERS = ("adam", "sgd", "nag")


@pytest.fixture
def ranking(make_run: MakeRun) -> Ranking:
    """Return a ranking in which every rate of adam beats all of the others."""
    records = [
        make_run(
            {"optimizer": {"name": name, "lr": rate}, "seed": 0},
            val={"accuracy": 0.9 - 0.1 * place - 0.01 * step},
        )
        for place, name in enumerate(OPTIMIZERS)
        for step, rate in enumerate((0.1, 0.01, 0.001))
    ]
    return rank(records)


@pytest.mark.parametrize("runs", [0, 12, 349, 400, 450])
def test_runs_cells_and_their_folder_are_few_enough_for_the_page(runs: int) -> None:
    assert runs + most_cells(runs) + 1 <= MOST_RUNS or runs > 400


def test_some_cells_are_shown_beside_any_number_of_runs() -> None:
    assert most_cells(10_000) == most_cells(500) == 50
    assert most_cells(0) == 150


def test_the_best_cell_of_each_optimizer_comes_before_the_best_of_all(ranking: Ranking) -> None:
    shown = chosen(ranking, 4)
    assert [cell.label for cell in shown.cells] == [
        "adam, lr=0.1",
        "adam, lr=0.01",
        "sgd, lr=0.1",
        "nag, lr=0.1",
    ]


def test_all_cells_are_shown_where_there_is_room(ranking: Ranking) -> None:
    assert chosen(ranking, 9) == ranking


def test_names_sort_as_the_whole_ranking_does(ranking: Ranking) -> None:
    found = [name for _, name in names(chosen(ranking, 4), ranking)]
    assert found == sorted(found)
    assert found[0] == "01 adam, lr=0.1"
    assert found[-1] == "07 nag, lr=0.1"


def test_cells_of_several_tasks_lie_below_their_names(make_run: MakeRun) -> None:
    records = [
        make_run(
            {"optimizer": {"name": "adam"}, "task": {"name": task}, "seed": 0}, val={"loss": 1}
        )
        for task in ("digits", "../up")
    ]
    ranking = rank(records)
    found = [name for _, name in names(ranking, ranking)]
    assert found == [".._up/01 adam", "digits/01 adam"]


def test_a_name_is_no_longer_than_a_folder_may_be(make_run: MakeRun) -> None:
    records = [
        make_run({"model": {"hidden": letter * 300}, "seed": 0}, val={"loss": 1}) for letter in "ab"
    ]
    ranking = rank(records)
    for _, name in names(ranking, ranking):
        assert len(name.encode()) <= MOST_BYTES + len("01 ")
