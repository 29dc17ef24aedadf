import math
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR

from optlab.config import ConfigError
from optlab.optim import Constant, Cosine, Linear, Schedule, Step
from optlab.registry import schedules

every_schedule = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in schedules.items()]
)
UPDATES = 100


def factors(schedule: Schedule, count: int = UPDATES) -> list[float]:
    return [schedule.factor(update, count) for update in range(count)]


@every_schedule
@given(update=st.integers(0, 999), count=st.integers(1, 1000), warmup=st.floats(0, 1))
def test_factor_is_a_share_of_the_learning_rate(
    make: Any, update: int, count: int, warmup: float
) -> None:
    assert 0 <= make(warmup=warmup).factor(update, count) <= 1


@every_schedule
def test_begins_at_the_learning_rate_and_never_rises(make: Any) -> None:
    values = factors(make())
    assert values[0] == 1
    assert values == sorted(values, reverse=True)


@every_schedule
def test_warms_up_in_a_straight_line(make: Any) -> None:
    warmed = factors(make(warmup=0.2))
    assert warmed[:20] == pytest.approx([(u + 1) / 20 for u in range(20)])
    # After the warm-up, the decay of the other 80 updates.
    assert warmed[20:] == pytest.approx(factors(make(), 80))


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


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"warmup must be in \[0, 1\], got 2.0 \(schedule.warmup"):
        Linear(warmup=2.0)
    with pytest.raises(ConfigError, match=r"every must be in \(0, 1\], got 0.0"):
        Step(every=0.0)


def of_torch(make_scheduler: Any) -> list[float]:
    """Return the learning rates of a torch scheduler that starts from 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make_scheduler(optimizer), []
    for _ in range(UPDATES):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates
