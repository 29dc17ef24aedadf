import numpy as np
import pytest
import torch

from optlab.config import ConfigError
from optlab.optim import bias_correction, ema, ewma, root
from optlab.optim.math import choose, either, larger, rectification, scalar, smaller, zero_step

TEMPERATURES = [43.0, 33.0, 25.5, 30.6]


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        (0.9, [4.3, 7.17, 9.003, 11.1627]),
        (0.5, [21.5, 27.25, 26.375, 28.4875]),
        (0.1, [38.7, 33.57, 26.307, 30.1707]),
    ],
)
def test_temperatures_of_the_notes(beta: float, expected: list[float]) -> None:
    # Row OPT-39.
    assert ewma(TEMPERATURES, beta).tolist() == pytest.approx(expected, rel=1e-12)


def test_corrected_temperatures_begin_at_the_first_day() -> None:
    # Row OPT-39, printed there to four decimals.
    corrected = ewma(TEMPERATURES, 0.9, bias_correction=True)
    assert corrected.tolist() == pytest.approx([43, 37.7368, 33.2214, 32.4591], abs=5e-5)


def test_correction_equals_the_adjusted_mean_of_pandas() -> None:
    # Row OPT-41: pandas' ewm(alpha=0.9).mean() weights value t - k by 0.1^k and divides by the sum
    # of the weights.
    weights = 0.1 ** np.arange(4)
    expected = [
        np.average(TEMPERATURES[t::-1], weights=weights[: t + 1]) for t in range(len(TEMPERATURES))
    ]
    corrected = ewma(TEMPERATURES, beta=0.1, bias_correction=True)
    assert corrected.tolist() == pytest.approx(expected, rel=1e-12)
    assert corrected.tolist() == pytest.approx([43, 33.9091, 26.3333, 30.1737], abs=5e-5)


def test_weights_are_a_geometric_series_that_sums_to_the_correction() -> None:
    # Row OPT-38: V_t = (1 - beta) (x_t + beta x_{t-1} + beta^2 x_{t-2} + ...).
    impulse = torch.zeros(20, dtype=torch.float64)
    impulse[0] = 1
    weights = ewma(impulse, 0.8)
    assert weights.tolist() == pytest.approx([0.2 * 0.8**k for k in range(20)], rel=1e-12)
    assert weights.sum().item() == pytest.approx(bias_correction(0.8, 20), rel=1e-12)


def test_series_keeps_its_floating_dtype() -> None:
    assert ewma(torch.ones(3), 0.5).dtype == torch.float32
    assert ewma(torch.ones(3, dtype=torch.int64), 0.5).dtype == torch.float64
    assert ewma([1, 1, 1], 0.5).tolist() == [0.5, 0.75, 0.875]


def test_beta_of_one_would_never_move_and_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"beta must be in \[0, 1\), got 1.0"):
        ewma(TEMPERATURES, 1.0)


@pytest.mark.parametrize("tensor_t", [False, True])
@pytest.mark.parametrize("tensor_beta", [False, True])
def test_correction_is_raised_in_float64(tensor_t: bool, tensor_beta: bool) -> None:
    # In float32, 1 - 0.999^3 is off by 1e-5: its digits are lost in the subtraction.
    beta = torch.tensor(0.999, dtype=torch.float64) if tensor_beta else 0.999
    t = torch.tensor(3.0) if tensor_t else 3
    correction = bias_correction(beta, t)
    assert float(correction) == pytest.approx(0.002997001, rel=1e-12)
    assert isinstance(correction, torch.Tensor) == (tensor_t or tensor_beta)


def test_average_takes_numbers_and_tensors() -> None:
    assert ema(2.0, 4.0, 0.75) == 2.5
    beta = torch.tensor(0.75, dtype=torch.float64)
    average = ema(torch.tensor([2.0]), torch.tensor([4.0]), beta)
    assert average.tolist() == [2.5]
    assert average.dtype == torch.float32


def test_larger_and_smaller_take_numbers_and_tensors_in_any_order() -> None:
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    pairs = [(a, b) for x, y in ((1.0, one), (2.0, two)) for a in (x, y) for b in (1.5, one * 1.5)]
    assert [float(larger(a, b)) for a, b in pairs] == [1.5] * 4 + [2.0] * 4
    assert [float(smaller(b, a)) for a, b in pairs] == [1.0] * 4 + [1.5] * 4
    assert isinstance(larger(1.0, 2.0), float)
    assert larger(one, torch.ones(2, dtype=torch.float64)).dtype == torch.float64


def test_choice_may_depend_on_a_number_or_a_tensor() -> None:
    value = torch.tensor([1.0, 2.0])
    assert choose(True, value, 0.0) is value
    assert choose(False, value, 0.0) == 0.0
    assert choose(torch.tensor(True), value, 0.0).tolist() == [1.0, 2.0]
    assert choose(torch.tensor(False), value, 0.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("tensor_t", [False, True])
@pytest.mark.parametrize("tensor_beta", [False, True])
@pytest.mark.parametrize(
    ("beta2", "t", "expected"),
    [
        # rho_inf = 19; rho = 19 - 12 * 0.531441 / 0.468559 = 5.38950 at t = 6, 4.6 at t = 5.
        (0.9, 5, 0.0),
        (0.9, 6, 0.255176806547),
        # rho_inf = 4 and 2, where the formula divides by zero; 1, below the root's zero.
        (0.6, 50, 0.0),
        (1 / 3, 50, 0.0),
        (0.0, 50, 0.0),
    ],
)
def test_rectification_is_zero_until_five_values_are_in_the_mean(
    beta2: float, t: int, expected: float, tensor_t: bool, tensor_beta: bool
) -> None:
    factor = rectification(
        torch.tensor(beta2, dtype=torch.float64) if tensor_beta else beta2,
        torch.tensor(float(t)) if tensor_t else t,
    )
    assert float(factor) == pytest.approx(expected, rel=1e-10)
    assert isinstance(factor, torch.Tensor) == (tensor_t or tensor_beta)


@pytest.mark.parametrize("correction", [None, 0.25])
def test_root_puts_eps_where_it_is_told(correction: float | None) -> None:
    square = torch.tensor([4.0], dtype=torch.float64)
    mean = 4.0 if correction is None else 4.0 / correction
    outside = root(square, 0.5, "outside", correction)
    inside = root(square, 0.5, "inside", correction)
    assert outside.item() == pytest.approx(mean**0.5 + 0.5, rel=1e-15)
    assert inside.item() == pytest.approx((mean + 0.5) ** 0.5, rel=1e-15)


def test_either_runs_only_the_branch_that_a_number_chooses() -> None:
    def refuse() -> tuple[torch.Tensor, ...]:
        raise AssertionError("not chosen")

    ones = (torch.ones(2), torch.ones(1))
    assert either(True, lambda: ones, refuse) is ones
    assert either(False, refuse, lambda: ones) is ones


def test_either_chooses_every_value_by_a_tensor_and_run_by_run() -> None:
    def values(count: torch.Tensor) -> tuple[torch.Tensor, ...]:
        # The branch that is not chosen may hold nan.
        return either(
            count == 0, lambda: (count + 7, torch.ones(2)), lambda: (1 / count, torch.zeros(2) / 0)
        )

    first, second = torch.vmap(values)(torch.tensor([0.0, 2.0]))
    assert first.tolist() == [7.0, 0.5]
    assert second[0].tolist() == [1.0, 1.0]
    assert second[1].isnan().all()


def test_numbers_of_a_state_are_on_the_cpu_whatever_the_default_device() -> None:
    with torch.device("meta"):
        numbers = [scalar(0.5), zero_step()]
    assert [number.item() for number in numbers] == [0.5, 0.0]
