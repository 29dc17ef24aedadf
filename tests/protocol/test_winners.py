"""Choosing within budgets, counting what it cost, and what the best baseline sets."""

import math

import numpy as np
import pytest

from optlab.protocol.jobs import Job
from optlab.protocol.space import Interval
from optlab.protocol.winners import scores, targets, winners
from tests.protocol.following import record_of, winner

RATES = {"adam": {"lr": Interval(1e-4, 1.0, "log")}}


def trials(values, optimizer="adam", seeds=(0,), setting=("task=digits",)):
    """Return the jobs of one search with the record of each; nan stands for one that diverged."""
    found = {}
    for trial, value in enumerate(values):
        drawn = (f"optimizer.lr={10.0 ** -(trial + 1)}",) if trial else ()
        for seed in seeds:
            job = Job(optimizer, (f"optimizer={optimizer}", *setting), trial, drawn, seed)
            status = "diverged" if math.isnan(value) else "done"
            found[job] = record_of(job, value, status)
    return found


def test_the_winner_of_a_budget_is_the_best_of_its_first_trials():
    values = np.random.default_rng(0).permutation(30) / 30
    found = winners(trials(values), [1, 5, 20, 30], RATES)
    assert [w.trial for w in found] == [int(np.argmax(values[:n])) for n in (1, 5, 20, 30)]
    assert [w.tuned for w in found] == [pytest.approx(values[:n].max()) for n in (1, 5, 20, 30)]
    assert [w.runs for w in found] == [1, 5, 20, 30]
    assert [w.row_gradients for w in found] == [100, 500, 2000, 3000]


def test_optimizers_and_settings_are_chosen_for_apart():
    found = {
        **trials([0.1, 0.9]),
        **trials([0.5, 0.2], setting=("task=digits", "schedule=cosine")),
        **trials([0.3, 0.4], optimizer="nag"),
    }
    chosen = winners(found, [2], {**RATES, "nag": RATES["adam"]})
    assert [(w.optimizer, w.setting[2:], w.trial) for w in chosen] == [
        ("adam", (), 1),
        ("adam", ("schedule=cosine",), 0),
        ("nag", (), 1),
    ]


def test_a_trial_that_diverged_on_one_seed_is_judged_by_its_mean_with_the_worst():
    found = trials([0.6, 0.9], seeds=(0, 1))
    bad = next(job for job in found if (job.trial, job.seed) == (1, 1))
    found[bad] = record_of(bad, status="diverged")
    (chosen,) = winners(found, [2], RATES)
    assert (chosen.trial, chosen.misses, chosen.runs) == (0, 1, 4)


def test_where_all_diverge_there_is_a_winner_that_scores_the_worst():
    chosen = winners(trials([math.nan, math.nan]), [1, 2], RATES)
    assert [(w.misses, w.runs) for w in chosen] == [(1, 1), (2, 2)]
    assert scores(chosen[0], [record_of(Job("adam", (), 0, (), 7), status="diverged")]) == (
        math.inf if chosen[0].metric == "loss" else 0.0,
    )


def test_values_at_the_end_of_an_interval_are_named_and_defaults_are_not():
    at_end, inside = winners(trials([0.1, 0.2, 0.3]), [3, 2], RATES)[::-1]
    assert (inside.trial, inside.edges) == (1, ())
    assert (at_end.trial, at_end.edges) == (2, ())
    (lowest,) = winners(trials([0.1, 0.2, 0.3, 0.4]), [4], RATES)
    assert lowest.edges == ("lr",)
    assert winners(trials([0.9]), [1], RATES)[0].edges == ()


def test_a_target_is_the_median_over_reruns_of_the_best_baseline_at_its_largest_budget():
    judged = [
        winner("nag", 1, scores=(0.99, 0.99)),
        winner("nag", 4, scores=(0.7, 0.8, 0.1)),
        winner("momentum", 4, scores=(0.6, 0.6, 0.99)),
        winner("adam", 4, scores=(0.95, 0.95)),
    ]
    found = targets(judged, ["nag", "momentum"])
    assert found["digits"]["value"] == 0.7
    assert found["digits"]["metric"] == "accuracy"
    assert "3 fresh seeds of the best baseline, nag (lr=0.01)" in found["digits"]["from"]


def test_a_target_of_losses_is_the_lowest_median_and_never_infinite():
    low = winner("nag", metric="loss", scores=(0.2, 0.3, math.inf))
    high = winner("momentum", metric="loss", scores=(0.5, 0.5, 0.5))
    lost = winner("adamw", metric="loss", scores=(math.inf, math.inf, 0.1))
    assert targets([high, low, lost], ["nag", "momentum", "adamw"])["digits"]["value"] == 0.3
    assert targets([lost], ["adamw"]) == {}
    assert targets([low], ["adamw"]) == {}
