import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from optlab.report.measures.pairs import LEVEL, contests, p_values
from tests.report.trials import evidence, trials

SEEDS = np.arange(8)
LUCK = np.sin(SEEDS) / 50  # of a seed, shared by all optimizers


def accuracies(*means: float) -> dict[str, list[float]]:
    names = ("adam", "sgd", "lion", "muon")
    return {n: list(m + LUCK) for n, m in zip(names, means, strict=False)}


def test_pairing_by_seed_tells_what_seeds_alone_would_hide() -> None:
    records = trials(accuracies(0.90, 0.898))
    (contest,) = contests(evidence(records))
    (other,) = contest.others
    assert (contest.best.optimizer, other.optimizer, other.pairs) == ("adam", "sgd", 8)
    assert other.behind.estimate == pytest.approx(0.002)
    assert other.p == other.p_holm == 2 / 2**8
    assert other.holds
    apart = stats.ttest_ind(0.90 + LUCK, 0.898 + LUCK).pvalue
    assert apart > LEVEL  # without pairs nothing could be said


def test_the_lower_loss_is_ahead_and_the_difference_is_positive_all_the_same() -> None:
    values = {name: [1 - v for v in own] for name, own in accuracies(0.9, 0.8).items()}
    (contest,) = contests(evidence(trials(values, by="loss", task="rosenbrock")))
    # A task with accuracies would be ranked by them: these runs have none.
    assert contest.best.metric == "loss"
    assert contest.others[0].behind.estimate == pytest.approx(0.1)
    assert contest.others[0].beaten.estimate == 1.0


def test_a_diverged_run_counts_as_the_worst_and_its_pair_stays() -> None:
    losses = {"adam": [0.1 + v for v in LUCK], "sgd": [0.2 + v for v in LUCK]}
    losses["sgd"][3] = math.inf
    (contest,) = contests(evidence(trials(losses, by="loss")))
    (other,) = contest.others
    assert (other.pairs, other.behind.estimate, other.p) == (8, math.inf, 2 / 2**8)
    assert math.isnan(other.behind.low)
    assert other.beaten.estimate == 1.0


def test_only_seeds_that_both_ran_with_are_paired() -> None:
    records = trials({"adam": [0.9] * 6}) + trials({"sgd": [0.8] * 6}, seeds=range(4, 10))
    (contest,) = contests(evidence(records))
    assert contest.others[0].pairs == 2
    assert not contest.can_show


def test_all_pairs_of_optimizers_are_corrected_for() -> None:
    (contest,) = contests(evidence(trials(accuracies(0.9, 0.8, 0.7, 0.6))))
    assert contest.tests == 6
    assert [other.p_holm for other in contest.others] == [6 * 2 / 2**8] * 3
    assert contest.can_show
    assert contest.pairs_needed == 8


def test_seeds_needed_are_the_fewest_that_can_show_anything() -> None:
    for seeds in (5, 6, 7, 8):
        values = {n: own[:seeds] for n, own in accuracies(0.9, 0.8, 0.7).items()}
        (contest,) = contests(evidence(trials(values)))
        assert contest.can_show == any(other.holds for other in contest.others)
        assert contest.can_show == (seeds >= contest.pairs_needed)


def test_where_best_cells_have_seeds_of_their_own_only_these_are_compared() -> None:
    tuned = trials({"adam 0.1": [0.9, 0.9], "adam 1": [0.5, 0.5]})
    tuned += trials({"sgd 0.1": [0.8, 0.8], "sgd 1": [0.4, 0.4]})
    (contest,) = contests(evidence(tuned))
    assert (contest.is_fresh, contest.choices, contest.others[0].pairs) == (False, 2, 2)
    fresh = trials({"adam 0.1": [0.7] * 4, "sgd 0.1": [0.65] * 4}, seeds=range(10, 14))
    (contest,) = contests(evidence([*tuned, *fresh]))
    assert (contest.is_fresh, contest.others[0].pairs) == (True, 4)
    assert contest.others[0].behind.estimate == pytest.approx(0.05)


def test_a_best_cell_that_is_behind_on_shared_seeds_is_ahead_of_nobody() -> None:
    # Its lead comes from seeds that the other never ran with.
    records = trials({"adam": [0.8] * 8, "sgd": [0.9] * 8})
    records += trials({"adam": [0.99] * 40}, seeds=range(100, 140))
    (contest,) = contests(evidence(records))
    (other,) = contest.others
    assert (contest.best.optimizer, other.pairs) == ("adam", 8)
    assert other.p_holm <= LEVEL
    assert not other.holds


def test_accuracies_tie_as_numbers_of_rows_do() -> None:
    rows = {"adam": [351, 349, 353, 352, 349, 351], "sgd": [350, 348, 350, 353, 350, 349]}
    shares = {n: [float(np.float32(own / 360)) for own in r] for n, r in rows.items()}
    (contest,) = contests(evidence(trials(shares)))
    (exact,) = contests(
        evidence(trials({n: [-own for own in r] for n, r in rows.items()}, by="loss"))
    )
    assert contest.others[0].p == exact.others[0].p
    assert contest.others[0].p_wilcoxon == exact.others[0].p_wilcoxon


def test_seeds_lost_on_both_sides_are_no_mean_difference_and_no_warning() -> None:
    lost = {"adam": [math.inf] + [0.1] * 14, "sgd": [0.2] * 7 + [math.inf] * 8}
    (contest,) = contests(evidence(trials(lost, by="loss")))
    (other,) = contest.others
    assert math.isnan(other.behind.estimate)
    assert other.holds  # by ranks


def test_an_optimizer_of_interrupted_runs_alone_is_compared_with_nothing() -> None:
    records = trials({"adam": [0.9] * 6, "sgd": [0.8] * 6})
    stopped = [
        replace(r, result=replace(r.result, status="interrupted")) if "sgd" in r.result.name else r
        for r in records
    ]
    (contest,) = contests(evidence(stopped))
    (other,) = contest.others
    assert (other.pairs, other.holds) == (0, False)
    assert math.isnan(other.beaten.estimate)


def test_equal_differences_do_not_tell_their_spread() -> None:
    rows = {"adam": [0.9694, 0.9722, 0.9667], "sgd": [0.9666, 0.9694, 0.9639]}  # one row apart
    shares = {name: [float(np.float32(v)) for v in own] for name, own in rows.items()}
    (contest,) = contests(evidence(trials(shares)))
    (other,) = contest.others
    assert other.behind.estimate == pytest.approx(0.0028, abs=1e-6)
    assert [math.isnan(end) for end in (other.behind.low, other.behind.high)] == [True, True]
    assert not contest.is_seedless


def test_one_optimizer_has_nobody_to_be_compared_with() -> None:
    assert contests(evidence(trials({"adam 0.1": [0.9, 0.8], "adam 1": [0.5, 0.4]}))) == []


def test_alike_optimizers_are_said_to_differ_in_at_most_five_percent_of_sweeps() -> None:
    # The whole procedure: the best of five is picked on the very runs that are then compared.
    rng = np.random.default_rng(0)
    sweeps = rng.exponential(size=(2000, 5, 10)) + rng.normal(size=(2000, 1, 10))
    wrong = 0
    for values in sweeps:
        lead = str(values.mean(axis=1).argmin())
        found = p_values({str(i): dict(enumerate(own)) for i, own in enumerate(values)})
        wrong += any(q <= LEVEL for pair, (_, q) in found.items() if lead in pair)
    # Three standard errors above; it also is not so low that nothing could be found.
    assert 0.01 < wrong / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
