import pytest

from optlab.report.lint.edges import edge_optimum, edges
from optlab.report.lint.lines import as_word
from tests.report.grids import evidence, run

WORD = "tag(log,interval(1e-4,1e-1))"


def ladder(*values: float, optimizer: str = "adam", rates: tuple[float, ...] = ()) -> list:
    """Return a run for each accuracy, at rates ten times the one before."""
    rates = rates or tuple(10.0 ** (i - 3) for i in range(len(values)))
    return [run(v, optimizer=optimizer, lr=lr) for v, lr in zip(values, rates, strict=True)]


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ((0.7, 0.9, 0.8), []),
        ((0.9, 0.8, 0.7), [(0.001, 0.0001)]),
        ((0.7, 0.8, 0.9), [(0.1, 1.0)]),
        ((0.7, 0.9, 0.9), []),
        ((0.9, 0.9, 0.9), []),
        ((0.9, 0.7, 0.9), []),
        ((0.0, 0.0), []),
        ((0.8, 0.9), [(0.01, 0.1)]),
        ((0.9,), []),
    ],
)
def test_edges_and_the_rate_beyond(
    values: tuple[float, ...], ends: list[tuple[float, float]]
) -> None:
    found = edges(evidence(ladder(*values)))
    assert [(each.rate, each.beyond) for each in found] == ends


def test_the_step_beyond_is_that_of_the_grid() -> None:
    (found,) = edges(evidence(ladder(0.9, 0.8, 0.7, rates=(3e-4, 1e-3, 3e-3))))
    assert found.beyond == 9e-5


def test_all_optimizers_at_an_edge_are_one_objection_and_one_line() -> None:
    runs = [*ladder(0.7, 0.8, 0.9), *ladder(0.9, 0.8, 0.7, optimizer="nag")]
    line = "optimizer=adam,nag,sgd optimizer.lr=1e-3,1e-2,1e-1 seed=0"
    (found,) = edge_optimum(evidence([*runs, *ladder(0.1, 0.2, 0.1, optimizer="sgd")], line))
    assert "the highest, 0.1, for adam; the lowest, 0.001, for nag" in found.sentence
    assert found.command == (
        "optlab sweep optimizer=adam,nag,sgd optimizer.lr=0.0001,1 seed=0 "
        "sweep.dir=runs/compare --extend"
    )


def test_lines_without_an_optimizer_at_an_edge_are_left_alone() -> None:
    runs = [*ladder(0.7, 0.8, 0.9), *ladder(0.7, 0.9, 0.7, optimizer="nag")]
    lines = [f"optimizer={n} optimizer.lr=1e-3,1e-2,1e-1" for n in ("adam", "nag")]
    (found,) = edge_optimum(evidence(runs, *lines))
    assert found.command == (
        "optlab sweep optimizer=adam 'optimizer.lr=choice(1)' sweep.dir=runs/compare --extend"
    )


def test_a_search_goes_on_a_decade_beyond() -> None:
    rates = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 5e-2, 1e-1)
    runs = ladder(*[0.1 * i for i in range(8)], rates=rates)
    (found,) = edge_optimum(evidence(runs, f"optimizer.lr={WORD} sweep.trials=8"))
    assert "'optimizer.lr=tag(log,interval(0.1,1))' sweep.trials=8" in found.command


def drawn(best: int, num: int, optimizer: str = "adam") -> list:
    """Return a search of rates and momenta, from 0.001 on a third further each, with a best one."""
    return [
        run(0.9 - 0.01 * abs(own - best), optimizer=optimizer, lr=lr, optimizer__momentum=0.9 - lr)
        for own, lr in enumerate([1e-3 * (4 / 3) ** own for own in range(num)])
    ]


def test_of_a_few_draws_only_the_last_is_the_edge() -> None:
    """A third of the range would be, were it that of the bins."""
    assert edges(evidence([*drawn(6, 8), *drawn(1, 8, "nag")])) == []
    (found,) = edge_optimum(evidence([*drawn(7, 8), *drawn(6, 8, "nag")]))
    assert "blobs: the highest, 0.00749, for adam. A" in found.sentence


def test_of_many_draws_the_outermost_tenth_is_the_edge_and_the_best_is_named() -> None:
    runs = [*drawn(28, 30), *drawn(26, 30, "nag")]
    (found,) = edge_optimum(evidence(runs, f"optimizer.lr={WORD} sweep.trials=30"))
    assert "blobs: one of the highest, 3.15, for adam. A" in found.sentence
    assert "'optimizer.lr=tag(log,interval(3.15,31.5))'" in found.command


def test_a_search_with_more_seeds_goes_on_once() -> None:
    lines = [f"optimizer.lr={WORD} sweep.trials=8 seed={seed}" for seed in ("0,1", "range(0,6)")]
    runs = [run(0.1 * own, lr=10.0**-own, seed=seed) for own in range(4) for seed in range(6)]
    (found,) = edge_optimum(evidence(runs, *lines))
    assert found.command.count("optlab sweep") == 1
    assert "'seed=range(0,6)'" in found.command


def test_rates_that_nobody_typed_have_no_command() -> None:
    (found,) = edge_optimum(evidence(ladder(0.1, 0.2, 0.3), "optimizer=adam"))
    assert found.command == ""


def test_optimizers_without_a_rate_have_no_edge() -> None:
    assert edge_optimum(evidence([run(lr=None), run(lr=None, optimizer="nag")])) == []
    assert as_word(None) == "null"


def test_winners_of_a_protocol_are_no_grid_with_edges() -> None:
    runs = ladder(0.7, 0.8, 0.9)
    assert edges(evidence(runs))
    assert edge_optimum(evidence(runs, "protocol=crowded_valley optimizer=adam")) == []
