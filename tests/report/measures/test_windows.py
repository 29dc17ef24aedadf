import math

import pytest

from optlab.report.evidence import Evidence
from optlab.report.measures.windows import Finding, findings, initial_losses
from optlab.report.ranking import rank
from tests.report.conftest import MakeRun
from tests.report.trials import evidence, trials

RATES = (0.01, 0.1, 1.0)


def of_losses(
    make_run: MakeRun, losses: dict[float, list[float]], initial: float | None, key: str = "lr"
) -> Finding:
    """Return what is found of one optimizer with these final losses, by value, of each seed."""
    records = []
    for value, own in losses.items():
        for seed, loss in enumerate(own):
            config = {"seed": seed, "task": {"name": "t"}, "optimizer": {"name": "sgd", key: value}}
            status = "done" if math.isfinite(loss) else "diverged"
            curves = None if initial is None else {"loss/val": [initial, loss]}
            record = make_run(config, val={"loss": loss}, status=status, curves=curves)
            records.append(record)
    (found,) = findings(Evidence(records, rank(records)))
    return found


def test_within_a_point_of_accuracy_is_as_good() -> None:
    runs = trials({"sgd 0.01": [0.88], "sgd 0.1": [0.9], "sgd 1": [0.8]})
    (found,) = findings(evidence(runs))
    assert found.window is not None
    # Half of the way to the rate below, a tenth of that to the one above.
    assert found.window.low == pytest.approx(10**-1.5)
    assert found.window.high == pytest.approx(10**-0.9)
    assert (found.value, found.edge, found.num_values) == (0.1, "", 3)
    assert math.isnan(found.sensitivity)  # nobody noted a loss before training


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (50.0, 0.0), (3.0, -40.0)])
def test_a_good_loss_does_not_hang_on_units(make_run: MakeRun, scale: float, offset: float) -> None:
    losses = {0.01: [1.3], 0.1: [1.0], 1.0: [2.0]}
    changed = {rate: [scale * own[0] + offset] for rate, own in losses.items()}
    window = of_losses(make_run, changed, scale * 11.0 + offset).window
    assert window is not None
    # A hundredth of the way from 11 to 1 is 0.1: a third of the way to 1.3, a tenth of that to 2.
    assert window.low == pytest.approx(10 ** (-1 - 1 / 3))
    assert window.high == pytest.approx(10**-0.9)


def test_without_a_loss_before_training_a_tenth_of_the_best_is_as_good(make_run: MakeRun) -> None:
    window = of_losses(make_run, {0.01: [1.2], 0.1: [1.0], 1.0: [2.0]}, None).window
    assert window is not None
    assert window.low == pytest.approx(10**-1.5)


def test_each_run_that_diverged_counts_as_its_loss_before_training(make_run: MakeRun) -> None:
    losses = {0.01: [1.0, 1.0], 0.1: [0.5, 0.5], 1.0: [0.7, math.inf]}
    found = of_losses(make_run, losses, 2.5)
    # Means 1, 0.5 and (0.7 + 2.5) / 2; excesses over the best 0.5, 0 and 1.1, by trapezoids.
    assert found.sensitivity == pytest.approx((0.25 + 0.55) / 2)
    assert found.window is not None
    assert found.window.high == pytest.approx(0.1)  # beyond it, some run diverged


def test_where_all_diverged_there_is_no_window(make_run: MakeRun) -> None:
    records = [
        make_run(
            {"task": {"name": "t"}, "optimizer": {"name": name, "lr": rate}},
            val={"loss": 1.0},
            status="done" if name == "sgd" else "diverged",
        )
        for name in ("sgd", "lion")
        for rate in RATES
    ]
    found = {each.optimizer: each for each in findings(Evidence(records, rank(records)))}
    assert found["lion"].window is None
    assert found["lion"].edge == ""
    assert found["sgd"].window is not None


@pytest.mark.parametrize(("best", "edge"), [(0.0, ""), (0.5, ""), (0.9, "the highest")])
def test_nothing_lies_below_zero(make_run: MakeRun, best: float, edge: str) -> None:
    losses = {value: [1.0 if value == best else 2.0] for value in (0.0, 0.5, 0.9)}
    found = of_losses(make_run, losses, 3.0, key="momentum")
    assert found.edge == edge
    assert found.window is None
    assert math.isnan(found.sensitivity)


def test_losses_of_several_functions_are_not_compared(make_run: MakeRun) -> None:
    records = [
        make_run(
            {
                "task": {"name": "t"},
                "loss": {"name": loss},
                "optimizer": {"name": "sgd", "lr": rate},
            },
            val={"loss": rate, "accuracy": accuracy},
            curves={"loss/val": [5.0, rate]},
        )
        for rate in RATES
        for loss, accuracy in (("mse", 0.5 + rate / 10), ("cross_entropy", 0.55))
    ]
    (found,) = findings(Evidence(records, rank(records)))
    assert math.isnan(found.sensitivity)


def test_a_loss_before_training_is_that_of_update_0(make_run: MakeRun) -> None:
    run = make_run({"seed": 0}, val={"loss": 1.0}, curves={"loss/val": [4.0, 1.0]})
    bare = make_run({"seed": 1}, val={"loss": 1.0})
    assert initial_losses(Evidence([run, bare], rank([run, bare]))) == {run.folder: 4.0}
