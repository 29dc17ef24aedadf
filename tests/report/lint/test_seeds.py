import pytest

from optlab.report.lint.seeds import few_seeds, lucky_cells, unequal_seeds
from tests.report.grids import config, evidence, grid, run

LINE = "optimizer=adam,nag optimizer.lr=0.001,0.01,0.1 seed=range(0,2)"


@pytest.mark.parametrize(("optimizers", "needed"), [("ab", 6), ("abc", 7), ("abcdefgh", 11)])
def test_too_few_seeds_are_those_that_can_show_nothing(optimizers: str, needed: int) -> None:
    """Pairs k (k - 1) / 2 of k optimizers, and 2^(1 - n) of n seeds: 0.03 for 6, and one pair."""
    assert few_seeds(evidence(grid(optimizers, seeds=range(needed)))) == []
    (found,) = few_seeds(evidence(grid(optimizers, seeds=range(needed - 1))))
    assert f"{needed - 1} seeds on blobs" in found.sentence
    assert f"at least {needed} seeds" in found.sentence


def test_the_command_adds_the_next_seeds_to_every_line() -> None:
    (found,) = few_seeds(evidence(grid(seeds=[0, 1]), LINE))
    assert found.command == (
        "optlab sweep optimizer=adam,nag optimizer.lr=0.001,0.01,0.1 'seed=range(0,6)' "
        "sweep.dir=runs/compare --extend"
    )
    (found,) = few_seeds(evidence(grid(seeds=[3, 7]), LINE))
    assert "seed=3,7,8,9,10,11 " in found.command


def test_cells_of_one_optimizer_need_seeds_as_well() -> None:
    runs = [*grid(["adam"], [0.01], range(5)), *grid(["adam"], [0.1], range(5))]
    (found,) = few_seeds(evidence(runs))
    assert "a paired test of one pair takes at least 6" in found.sentence.lower()


def test_a_test_function_without_noise_needs_no_seeds() -> None:
    def valley(noise: float) -> list:
        more = {"model": "point", "task": "rosenbrock", "task__noise": noise}
        return grid(seeds=[0], **more)

    assert few_seeds(evidence(valley(0.0))) == []
    assert len(few_seeds(evidence(valley(0.1)))) == 1


def test_several_tasks_are_one_objection() -> None:
    runs = [each for task in ("blobs", "digits") for each in grid(seeds=[0], task=task)]
    (found,) = few_seeds(evidence(runs))
    assert "1 seed on 2 tasks" in found.sentence.lower()


def test_unequal_seeds_are_told_with_both_sets() -> None:
    runs = [*grid(["adam"], seeds=range(4)), *grid(["nag"], seeds=[2, 3, 4])]
    (found,) = unequal_seeds(evidence(runs, LINE))
    assert "adam ran with 4 seeds (0, 1, 2 and 3), nag with 3 seeds (2, 3 and 4)" in found.sentence
    assert "2 seeds are common" in found.sentence
    assert "seed=range(0,6)" in found.command, "one command for equal ones and enough of them"
    assert few_seeds(evidence(runs)) == []


def test_a_best_cell_of_one_lucky_seed_is_not_preferred_without_a_word() -> None:
    well = [run(0.9, optimizer=name, lr=0.01, seed=s) for name in ("adam", "nag") for s in range(7)]
    lucky = [run(0.95, optimizer=name, lr=0.1, seed=0) for name in ("adam", "nag")]
    seen = evidence([*well, *lucky], LINE)
    assert unequal_seeds(seen) == []
    (found,) = lucky_cells(seen)
    assert "on blobs: adam, lr=0.1 with 1 seed, of adam, lr=0.01 there are 7 and" in found.sentence
    assert "'seed=range(0,7)'" in found.command
    assert lucky_cells(evidence(well)) == []


def test_a_best_cell_that_was_measured_again_is_no_luck() -> None:
    again = [run(0.9, optimizer=name, lr=0.01, seed=s) for name in "ab" for s in range(7, 9)]
    assert lucky_cells(evidence([*grid("ab"), *again])) == []


def test_as_many_seeds_that_are_others_are_unequal() -> None:
    runs = [*grid(["adam"], seeds=range(6)), *grid(["nag"], seeds=range(6, 12))]
    (found,) = unequal_seeds(evidence(runs))
    assert "no seed is common" in found.sentence


def test_the_best_cells_are_what_is_compared() -> None:
    """Winners that ran on more seeds than what they were chosen from are equal to each other."""
    runs = [*grid(rates=[0.01]), *grid(rates=[0.1, 0.2, 0.3], seeds=[0])]
    low = [run(0.1, optimizer=name, lr=0.5, seed=0) for name in ("adam", "nag")]
    assert unequal_seeds(evidence([*grid(rates=[0.01]), *low])) == []
    assert unequal_seeds(evidence(runs)) == []


def test_missing_runs_count_here_as_there() -> None:
    runs = grid()
    lost = config(optimizer="nag", lr=0.01, seed=5)
    rest = [each for each in runs if each.config != lost]
    assert len(rest) == len(runs) - 1
    assert unequal_seeds(evidence(rest, LINE, missing=[lost])) == []
    assert len(unequal_seeds(evidence(rest, LINE))) == 1
