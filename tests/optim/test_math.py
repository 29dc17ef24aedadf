import numpy as np
import pytest
import torch

from optlab.config import ConfigError
from optlab.optim import bias_correction, ema, ewma, root

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


@pytest.mark.parametrize("correction", [None, 0.25])
def test_root_puts_eps_where_it_is_told(correction: float | None) -> None:
    square = torch.tensor([4.0], dtype=torch.float64)
    mean = 4.0 if correction is None else 4.0 / correction
    outside = root(square, 0.5, "outside", correction)
    inside = root(square, 0.5, "inside", correction)
    assert outside.item() == pytest.approx(mean**0.5 + 0.5, rel=1e-15)
    assert inside.item() == pytest.approx((mean + 0.5) ** 0.5, rel=1e-15)
