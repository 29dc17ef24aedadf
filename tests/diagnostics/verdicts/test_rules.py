"""Every rule on histories made up to have its fault, just not to have it, or to say nothing."""

import math

import numpy as np
import pytest

from optlab.diagnostics.verdicts import RULES, History, verdicts
from optlab.diagnostics.verdicts.learning import times
from tests.diagnostics.verdicts.made_up import LN10, facts, healthy, history

SIGMOIDS = {f"preactivation_gradient/hidden.{i}": [0.1 * 4.0 ** (i - 9)] * 3 for i in range(10)}
NOISE = np.random.default_rng(0).normal(size=40)


def found(changes, **of_run):
    """Return the verdicts by name on a healthy run with some curves changed."""
    curves = {tag: values for tag, values in (healthy() | changes).items() if values is not None}
    return {verdict.name: verdict for verdict in verdicts(history(curves), facts(**of_run))}


def test_a_healthy_run_has_no_verdict():
    assert found({}) == {}


@pytest.mark.parametrize("name", RULES)
def test_rules_say_nothing_of_a_run_without_records(name):
    assert RULES[name](History({}), facts()) is None


@pytest.mark.parametrize("name", RULES)
def test_rules_bear_a_single_record_of_everything(name):
    single = {tag: list(values)[:1] for tag, values in healthy().items()}
    assert RULES[name](history(single), facts()) is None


@pytest.mark.parametrize("tag", healthy())
def test_rules_bear_nan_in_any_curve(tag):
    values = [math.nan] * len(healthy()[tag])
    assert not {*found({tag: values})} - {"nonfinite"}


@pytest.mark.parametrize("tag", healthy())
def test_no_rule_needs_a_curve_to_be_silent(tag):
    assert found({tag: None}) == {}


FAULTS = {
    "vanishing_gradient": SIGMOIDS,
    "exploding_gradient": {f"preactivation_gradient/hidden.{i}": [8.0**-i] * 2 for i in range(5)},
    "dead_units": {"dead/activation": [0.0, 0.3, 0.4]},
    "saturated_activation": {"saturated/activation": [0.2, 0.9, 0.95]},
    "saturated_gate": {"gate_saturated/recurrent.f": [0.0, 0.8]},
    "symmetric_units": {"symmetric/hidden.0": [1.0, 1.0]},
    "drifting_statistics": {"batchnorm_drift/norm": [40.0, 3.0, 2.0]},
    "loss_plateau": {"loss/train": [LN10] * 40, "loss/val": [LN10] * 20},
    "lr_too_high": {"loss/train": 1.0 + 0.4 * NOISE},
    "lr_too_low": {
        "loss/train": np.linspace(2.6, 2.4, 40),
        "loss/val": np.linspace(2.6, 2.4, 20),
        "update_ratio/hidden.weight": [1e-5] * 20,
    },
    "overfitting": {"loss/val": [2.6, *np.geomspace(2.0, 0.3, 9), *np.linspace(0.3, 0.9, 10)]},
    "underfitting": {
        "loss/train": np.linspace(2.5, 1.5, 40),
        "loss/val": np.linspace(2.5, 1.5, 20),
    },
    "nonfinite": {"nonfinite/hidden.0": [1.0]},
}


def test_there_is_a_fault_for_every_rule():
    assert {*FAULTS} == {*RULES}


@pytest.mark.parametrize("name", FAULTS)
def test_a_rule_finds_its_fault_and_says_how_far_it_goes(name):
    verdict = found(FAULTS[name])[name]
    assert verdict.severity >= 1
    assert any(character.isdigit() for character in verdict.sentence)
    assert "try" in verdict.sentence or "start from" in verdict.sentence
    assert verdict.since >= 0


def test_vanishing_names_layers_factor_and_ratio():
    verdict = found(SIGMOIDS)["vanishing_gradient"]
    assert verdict.subject == "hidden.0"
    assert "from hidden.9 down to hidden.0 they fall 4-fold per layer" in verdict.sentence
    assert verdict.severity == pytest.approx(1e-3 / 4.0**-9)


def test_the_factor_per_layer_counts_layers_that_are_not_recorded():
    thinned = {tag: v for tag, v in SIGMOIDS.items() if tag[-1] in "0369"}
    layers = tuple(f"hidden.{i}" for i in range(10))
    curves = history(thinned)
    verdict = RULES["vanishing_gradient"](curves, facts(layers=layers))
    assert "4-fold per layer" in verdict.sentence


def test_one_layer_that_blocks_is_no_vanishing_gradient():
    steps = {f"preactivation_gradient/hidden.{i}": [1e-5 if i < 9 else 0.1] * 2 for i in range(10)}
    assert "vanishing_gradient" not in found(steps)


def test_a_gradient_that_is_zero_has_vanished_without_a_line():
    none = {f"preactivation_gradient/hidden.{i}": [0.0 if i < 2 else 0.1] * 2 for i in range(4)}
    verdict = found(none)["vanishing_gradient"]
    assert verdict.severity == math.inf
    assert "hidden.0 to hidden.1" in verdict.sentence


def test_a_gradient_that_vanishes_at_one_of_many_looks_is_none():
    mended = {t: [v[0], *[0.1] * 9] for t, v in SIGMOIDS.items()}
    assert "vanishing_gradient" not in found(mended)


@pytest.mark.parametrize(("norms", "is_clipped"), [([5.0] * 20, True), ([0.5] * 20, False)])
@pytest.mark.parametrize("limit", [{"clip_norm": 1.0}, {"clip_value": 0.1}])
def test_clipping_at_nearly_every_look_is_told(norms, is_clipped, limit):
    changes = {"gradient_norm/hidden.weight": norms}
    verdict = found(changes, sizes={"hidden.weight": 100}, **limit).get("exploding_gradient")
    assert (verdict is not None) == is_clipped
    if verdict:
        assert "clipped in 100% of 20 looks" in verdict.sentence


def test_gradients_that_grow_while_training_goes_on_explode():
    grown = {"gradient_norm/hidden.weight": np.geomspace(1, 1e4, 20)}
    verdict = found(grown)["exploding_gradient"]
    assert verdict.since > 0


@pytest.mark.parametrize(
    ("shares", "recovers"), [([0.0, 0.5, 0.3], True), ([0.0, 0.3, 0.3], False)]
)
def test_dead_units_say_since_when_and_whether_some_came_back(shares, recovers):
    verdict = found({"dead/activation": shares})["dead_units"]
    assert verdict.since == 100
    assert ("some recover" in verdict.sentence) == recovers


def test_a_silent_rectifier_only_suggests_dead_units_where_they_are_not_counted():
    changes = {"dead/activation": None, "saturated/activation": [1.0, 1.0]}
    verdict = found(changes, rectified=frozenset({"activation"}))["dead_units"]
    assert "seem dead" in verdict.sentence
    assert "dead_units" not in found(changes | {"dead/activation": [0.0, 0.0]})


def test_a_rectifier_is_not_saturated():
    changes = {"saturated/activation": [0.9, 0.9]}
    assert found(changes, rectified=frozenset({"activation"})) == {}


def test_statistics_that_begin_far_away_do_not_drift():
    assert "drifting_statistics" not in found({"batchnorm_drift/norm": [40.0]})


def test_nonfinite_names_the_first_place_and_what_the_loss_did():
    why = "the training loss became nan at update 37"
    curves = {"nonfinite/hidden.0.gradient": [1.0], "nonfinite/output": [0.0, 1.0]}
    verdict = found(curves, diverged=why)["nonfinite"]
    assert verdict.subject == "hidden.0.gradient"
    assert "in the gradient at hidden.0" in verdict.sentence
    assert why in verdict.sentence


def test_a_divergence_that_no_look_saw_is_told_by_its_loss():
    why = "the training loss became nan at update 37"
    of_run = found({}, diverged=why)
    assert {*of_run} == {"nonfinite", "lr_too_high"}
    assert all(why in verdict.sentence for verdict in of_run.values())


def test_a_loss_that_ends_above_its_lowest_has_too_high_a_rate():
    rising = [*np.geomspace(2.5, 0.3, 20), *np.geomspace(0.3, 1.2, 20)]
    assert "rose 3.7-fold" in found({"loss/train": rising})["lr_too_high"].sentence


@pytest.mark.parametrize(
    ("factor", "said"),
    [(0.12, "12.0% of"), (3.46, "3.5 times"), (1e25, "more than 1000 times")],
)
def test_a_factor_is_told_as_far_as_it_says_something(factor, said):
    assert times(factor) == said


def test_a_loss_that_rises_from_nothing_has_a_severity_that_says_something() -> None:
    verdict = found({"loss/train": [1.0, *[0.0] * 12, *[0.9] * 12]})["lr_too_high"]
    assert "the loss rose from 0 to" in verdict.sentence
    assert verdict.severity < 1e7


def test_rise_of_a_loss_that_has_been_learned_does_not_matter():
    rising = [*np.geomspace(2.5, 0.001, 20), *np.geomspace(0.001, 0.01, 20)]
    assert "lr_too_high" not in found({"loss/train": rising})


def test_a_rate_that_is_too_high_is_not_too_low():
    swings = {"loss/train": 2.0 + NOISE, "update_ratio/hidden.weight": [1e-5] * 20}
    assert "lr_too_low" not in found(swings)


@pytest.mark.parametrize("blocking", ["vanishing_gradient", "dead_units", "symmetric_units"])
def test_a_rate_is_not_blamed_for_gradients_that_do_not_arrive(blocking):
    changes = FAULTS[blocking] | FAULTS["lr_too_low"]
    assert "lr_too_low" not in found(changes)


def test_a_plateau_in_the_middle_names_its_ends():
    losses = [*np.linspace(2.5, 2.0, 4), *[2.0] * 28, *np.linspace(2.0, 0.4, 8)]
    verdict = found({"loss/train": losses})["loss_plateau"]
    assert "was stuck from update" in verdict.sentence
    assert "77% of the training" in verdict.sentence


def test_a_flat_loss_that_is_low_is_no_plateau():
    assert found({"loss/train": [2.3, *[0.05] * 39]}) == {}


def test_overfitting_names_the_best_epoch():
    verdict = found(FAULTS["overfitting"])["overfitting"]
    assert "lowest at epoch 18 (0.3)" in verdict.sentence
    assert verdict.since == 900


def test_a_loss_of_zero_has_been_learned():
    losses = [*np.geomspace(2.5, 1e-3, 39), 0.0]
    assert found({"loss/train": losses, "loss/val": losses[::2]}) == {}
    assert found({"loss/train": [2.3] + [0.0] * 39, "loss/val": [2.3] + [0.0] * 19}) == {}


@pytest.mark.parametrize("layers", [(), ("hidden.9",), tuple(f"hidden.{9 - i}" for i in range(10))])
def test_layers_in_another_order_than_they_are_called_count_one_by_one(layers):
    assert "4-fold" in found(SIGMOIDS, layers=layers)["vanishing_gradient"].sentence
    growing = {tag: list(reversed(values)) for tag, values in FAULTS["exploding_gradient"].items()}
    assert "5.3-fold" in found(growing, layers=layers)["exploding_gradient"].sentence


def test_losses_below_zero_are_not_judged():
    assert found({"loss/train": np.linspace(1.0, -5.0, 40)}, chance_loss=None) == {}


def test_the_most_severe_verdict_comes_first():
    both = history(healthy() | FAULTS["dead_units"] | FAULTS["saturated_gate"])
    assert [v.name for v in verdicts(both, facts())] == ["saturated_gate", "dead_units"]
