from optlab.report.sections.factors import MOST_TASKS, factors
from tests.report.grids import evidence, grid, run


def test_the_sentence_names_what_the_result_hangs_on() -> None:
    found = factors(evidence(grid()))
    assert found is not None
    assert "variance of validation accuracy are of learning rate 100 %" in found.sentences[0]
    assert "(36 runs)" in found.sentences[0]
    assert [type(figure).__name__ for figure in found.figures] == ["Chart", "Views", "Parallel"]
    assert [table.name for table in found.tables] == ["factor_importance"]


def test_tasks_are_told_one_by_one_up_to_a_few() -> None:
    tasks = [f"task{number}" for number in range(MOST_TASKS + 2)]
    runs = [each for task in tasks for each in grid(seeds=[0], task=task)]
    found = factors(evidence(runs))
    assert found is not None
    assert found.sentences[1].startswith("task0: learning rate 100 %")
    assert "2 more tasks are in the table." in found.sentences


def test_cells_that_are_all_alike_hang_on_nothing() -> None:
    runs = [run(0.5, optimizer=name, lr=lr) for name in "ab" for lr in (0.1, 1.0)]
    found = factors(evidence(runs))
    assert found is not None
    assert "are of nothing, as all 4 cells are alike" in found.sentences[0]


def test_one_factor_is_no_question() -> None:
    assert factors(evidence(grid(["adam"]))) is None
    assert factors(evidence([run()])) is None
