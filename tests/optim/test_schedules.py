import math
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    PolynomialLR,
)

from optlab.config import ConfigError
from optlab.optim import (
    WSD,
    Constant,
    Cosine,
    Exponential,
    Linear,
    OneCycle,
    Polynomial,
    Schedule,
    Step,
)
from optlab.registry import schedules

every_schedule = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in schedules.items()]
)
with_the_common_warmup = pytest.mark.parametrize(
    "make",
    [pytest.param(m, id=name) for name, m in schedules.items() if m.rise_at is Schedule.rise_at],
)
UPDATES = 100
#: What 100 multiplications of rounded factors, as torch makes them, may lose.
ROUNDING = 1e-12


def factors(schedule: Schedule, count: int = UPDATES) -> list[float]:
    return [schedule.factor(update, count) for update in range(count)]


@every_schedule
@given(update=st.integers(0, 999), count=st.integers(1, 1000), warmup=st.floats(0, 1))
def test_factor_is_a_share_of_the_learning_rate(
    make: Any, update: int, count: int, warmup: float
) -> None:
    assert 0 <= make(warmup=warmup).factor(update, count) <= 1


@every_schedule
def test_without_warmup_begins_at_the_learning_rate_and_never_rises(make: Any) -> None:
    values = factors(make(warmup=0.0))
    assert values[0] == 1
    assert values == sorted(values, reverse=True)


@every_schedule
def test_rises_through_the_warmup_and_then_makes_the_decay_of_the_other_updates(make: Any) -> None:
    warmed = factors(make(warmup=0.2))
    assert warmed[:21] == sorted(warmed[:21])
    assert warmed[0] < 0.1
    assert warmed[20:] == pytest.approx(factors(make(warmup=0.0), 80))


@with_the_common_warmup
def test_warms_up_in_a_straight_line(make: Any) -> None:
    assert factors(make(warmup=0.2))[:20] == pytest.approx([(u + 1) / 20 for u in range(20)])


def test_the_common_warmup_equals_torch() -> None:
    assert factors(Constant(warmup=0.2)) == pytest.approx(
        of_torch(lambda o: LinearLR(o, start_factor=1 / 20, end_factor=1.0, total_iters=19)),
        abs=ROUNDING,
    )


@every_schedule
def test_tensors_give_the_numbers_of_integers(make: Any) -> None:
    schedule = make(warmup=0.1)
    updates = torch.arange(UPDATES)
    together = schedule.factor(updates, torch.tensor(UPDATES))
    assert together.dtype == torch.float64
    assert torch.vmap(schedule.factor, (0, None))(updates, UPDATES).tolist() == pytest.approx(
        factors(schedule), rel=1e-14
    )
    assert together.tolist() == pytest.approx(factors(schedule), rel=1e-14)


@every_schedule
def test_a_training_of_one_update_runs_at_the_full_rate(make: Any) -> None:
    assert make(warmup=0.5).factor(0, 1) == 1


def test_constant_stays() -> None:
    assert set(factors(Constant())) == {1.0}


def test_linear_equals_torch() -> None:
    assert factors(Linear(final=0.1)) == pytest.approx(
        of_torch(lambda o: LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=UPDATES))
    )


def test_cosine_equals_torch() -> None:
    assert factors(Cosine(final=0.1)) == pytest.approx(
        of_torch(lambda o: CosineAnnealingLR(o, T_max=UPDATES, eta_min=0.1))
    )


def test_cosine_is_half_way_down_in_the_middle() -> None:
    assert Cosine(final=0.2).factor(50, 100) == pytest.approx(0.6)
    assert Cosine().factor(25, 100) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


@pytest.mark.parametrize("final", [1.0, 0.1, 1e-6])
def test_exponential_equals_torch(final: float) -> None:
    assert factors(Exponential(final=final)) == pytest.approx(
        of_torch(lambda o: ExponentialLR(o, gamma=final ** (1 / UPDATES))), abs=ROUNDING
    )


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_polynomial_equals_torch(power: float) -> None:
    assert factors(Polynomial(power=power)) == pytest.approx(
        of_torch(lambda o: PolynomialLR(o, total_iters=UPDATES, power=power)), abs=ROUNDING
    )


def test_polynomial_of_power_one_is_the_straight_line_to_the_same_end() -> None:
    assert factors(Polynomial(final=0.3, power=1.0)) == pytest.approx(
        factors(Linear(final=0.3)), abs=ROUNDING
    )


@pytest.mark.parametrize("shape", ["cosine", "linear"])
@pytest.mark.parametrize("rise", [1, 30, 99])
def test_one_cycle_equals_torch_which_ends_one_update_later(shape: Any, rise: int) -> None:
    ours = OneCycle(warmup=rise / UPDATES, initial=0.2, final=0.05, shape=shape)

    def theirs(optimizer: torch.optim.Optimizer) -> OneCycleLR:
        return OneCycleLR(
            optimizer,
            max_lr=1.0,
            total_steps=UPDATES + 1,
            pct_start=(rise + 1) / (UPDATES + 1),
            anneal_strategy="cos" if shape == "cosine" else "linear",
            cycle_momentum=False,
            div_factor=5.0,
            final_div_factor=4.0,
        )

    assert factors(ours) == pytest.approx(of_torch(theirs), abs=ROUNDING)


def test_one_cycle_without_a_rise_is_the_fall_alone() -> None:
    # torch divides by zero here.
    assert factors(OneCycle(warmup=0.0, final=0.1)) == pytest.approx(factors(Cosine(final=0.1)))


def test_one_cycle_has_the_defaults_of_torch() -> None:
    theirs = of_torch(
        lambda o: OneCycleLR(o, 1.0, UPDATES + 1, pct_start=31 / 101, cycle_momentum=False)
    )
    assert factors(OneCycle()) == pytest.approx(theirs, abs=ROUNDING)


def test_wsd_warms_up_stays_and_falls() -> None:
    values = factors(WSD(warmup=0.1, cooldown=0.5, final=0.1), 100)
    assert values[:10] == pytest.approx([(u + 1) / 10 for u in range(10)])
    assert values[10:56] == [1.0] * 46
    # 45 of the 90 updates after the warm-up.
    assert values[55:] == pytest.approx([1 - 0.9 * u / 45 for u in range(45)])


@pytest.mark.parametrize(
    ("shape", "half_way"), [("linear", 0.5), ("sqrt", 1 - 0.5**0.5), ("cosine", 0.5)]
)
def test_the_form_of_the_fall_of_wsd(shape: Any, half_way: float) -> None:
    values = factors(WSD(warmup=0.0, cooldown=0.4, shape=shape))
    quarter = {"linear": 0.75, "sqrt": 0.5, "cosine": (1 + math.cos(math.pi / 4)) / 2}[shape]
    assert (values[60], values[70], values[80]) == pytest.approx((1.0, quarter, half_way))


def test_step_drops_after_every_share() -> None:
    values = factors(Step(decay=0.5, every=0.3))
    assert values == [1.0] * 30 + [0.5] * 30 + [0.25] * 30 + [0.125] * 10


@pytest.mark.parametrize("drops", range(1, 50))
def test_step_drops_in_time_where_division_rounds_down(drops: int) -> None:
    # 0.3 / 0.1 is 2.9999999999999996 in binary.
    values = factors(Step(decay=0.5, every=1 / drops), 10 * drops)
    assert values == [0.5 ** (update // 10) for update in range(10 * drops)]


@every_schedule
def test_drives_a_torch_scheduler(make: Any) -> None:
    schedule = make(warmup=0.1)
    driven = of_torch(lambda o: LambdaLR(o, lambda update: schedule.factor(update, UPDATES)))
    assert driven == pytest.approx(factors(schedule))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(warmup=2.0), r"warmup must be in \[0, 1\], got 2.0 \(schedule.warmup"),
        (lambda: Step(every=0.0), r"every must be in \(0, 1\], got 0.0"),
        (lambda: Exponential(final=0.0), r"final must be in \(0, 1\], got 0.0"),
        (lambda: Polynomial(power=0.0), r"power must be in \(0, inf\), got 0.0"),
        (lambda: WSD(cooldown=0.0), r"cooldown must be in \(0, 1\], got 0.0"),
        (lambda: WSD(shape="square"), "shape must be one of linear, sqrt, cosine, got 'square'"),  # type: ignore[arg-type]
        (lambda: OneCycle(initial=0.0), r"initial must be in \(0, 1\], got 0.0"),
        (lambda: OneCycle(shape="sqrt"), "shape must be one of cosine, linear, got 'sqrt'"),  # type: ignore[arg-type]
    ],
)
def test_values_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def of_torch(make_scheduler: Any) -> list[float]:
    """Return the learning rates of a torch scheduler that starts from 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make_scheduler(optimizer), []
    for _ in range(UPDATES):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates
