"""Activations: hand-written derivatives against autograd, torch's functions, and ACT-01 .. 21."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.nn import (
    ELU,
    SELU,
    Identity,
    LeakyReLU,
    PReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Step,
    Tanh,
)
from optlab.registry import activations

ALL = dict(activations.items())
ELEMENTWISE = [entry for entry in ALL.values() if entry.elementwise]
#: Both zeros, and numbers near and far from the kink.
POINTS = torch.tensor(
    [-1000.0, -20.0, -1.5, -1e-9, -0.0, 0.0, 1e-9, 0.7, 20.0, 1000.0], dtype=torch.float64
)


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def activation(request):
    return request.param().double()


def slope_by_autograd(module, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(module(x).sum(), x)[0]


@pytest.mark.parametrize("entry", ELEMENTWISE)
def test_derivative_equals_autograd_at_kinks_too(entry):
    module = entry().double()
    slopes = module.derivative(POINTS).detach()
    # Absolute: autograd takes the e^x of ELU as (e^x - 1) + 1, to one rounding of 1.
    torch.testing.assert_close(slopes, slope_by_autograd(module, POINTS), rtol=1e-12, atol=1e-15)


def test_derivative_of_softmax_is_its_jacobian():
    x = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(Softmax().derivative(x), jacrev(Softmax())(x))
    assert Softmax().derivative(x.expand(4, 2, 3)).shape == (4, 2, 3, 3)


def test_gradcheck_away_from_the_kink(activation):
    x = torch.tensor([[-2.0, -0.5, 0.4], [1.7, 3.0, -1.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(activation, (x.requires_grad_(),))
    assert torch.autograd.gradgradcheck(activation, (x,))


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (Identity(), nn.Identity()),
        (Sigmoid(), nn.Sigmoid()),
        (Tanh(), nn.Tanh()),
        (ReLU(), nn.ReLU()),
        (LeakyReLU(), nn.LeakyReLU()),
        (LeakyReLU(0.2), nn.LeakyReLU(0.2)),
        (PReLU(), nn.PReLU()),
        (ELU(), nn.ELU()),
        (ELU(0.7), nn.ELU(0.7)),
        (SELU(), nn.SELU()),
        (Softmax(), nn.Softmax(-1)),
    ],
)
def test_equals_torch_forward_and_backward(ours, torchs):
    ours, torchs = ours.double(), torchs.double()
    x = POINTS.reshape(2, 5)
    # A relative 1e-8: torch takes e^x - 1 directly, which loses digits near 0.
    torch.testing.assert_close(ours(x), torchs(x), rtol=1e-8, atol=0)
    slopes, expected = slope_by_autograd(ours, x), slope_by_autograd(torchs, x)
    torch.testing.assert_close(slopes, expected, rtol=1e-8, atol=1e-15)


def test_stays_finite_and_keeps_its_type_at_a_thousand(activation):
    module = activation.float()
    x = torch.tensor([[-1000.0, 1000.0, 0.0], [1000.0, 1000.0, 1000.0]])
    for values in (module(x), module.derivative(x), slope_by_autograd(module, x)):
        assert torch.isfinite(values).all()
        assert values.dtype == torch.float32


def test_stack_equals_each_run(activation):
    """One parameter set per run: the slopes of PReLU differ, the others have none."""
    runs = [type(activation)() for _ in range(3)]
    for number, run in enumerate(runs):
        for parameter in run.parameters():
            nn.init.constant_(parameter, 0.1 * number)
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    parameters, buffers = stack_module_state(runs)
    if parameters:
        call = vmap(lambda p, b, row: functional_call(runs[0], (p, b), (row,)))
        stacked = call(parameters, buffers, x)
    else:
        stacked = vmap(runs[0])(x)
    for number, run in enumerate(runs):
        torch.testing.assert_close(stacked[number], run(x[number]), rtol=0, atol=0)


def test_step_takes_a_tie_as_one_and_has_no_gradient():
    x = torch.tensor([-1.0, -0.0, 0.0, 1e-30])
    assert Step()(x).tolist() == [0.0, 1.0, 1.0, 1.0]
    assert (slope_by_autograd(Step(), x) == 0).all()


def test_sigmoid_is_steepest_at_zero_and_symmetric():
    """ACT-03."""
    x = torch.linspace(-8, 8, 161, dtype=torch.float64)
    slope = Sigmoid().derivative(x)
    assert float(slope.max()) == 0.25
    assert float(x[slope.argmax()]) == pytest.approx(0.0, abs=1e-12)
    torch.testing.assert_close(Sigmoid()(x) + Sigmoid()(-x), torch.ones_like(x))


def test_tanh_has_not_the_derivative_that_the_notes_print():
    """E1: (1 - f)/(1 + f) is e^(-2x)."""
    x = torch.tensor(0.5, dtype=torch.float64)
    f = Tanh()(x)
    printed = (1 - f) / (1 + f)
    torch.testing.assert_close(printed, torch.exp(-2 * x))
    assert float(printed) == pytest.approx(0.368, abs=5e-4)
    assert float(Tanh().derivative(x)) == pytest.approx(0.786, abs=5e-4)


@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0])
def test_leaky_relu_is_the_notes_maximum(slope):
    """ACT-13 and E3: max(slope x, x) is f, not f'."""
    torch.testing.assert_close(
        LeakyReLU(slope)(POINTS), torch.maximum(slope * POINTS, POINTS), rtol=1e-15, atol=0
    )


def test_prelu_slope_gets_the_sum_of_the_negative_inputs():
    """ACT-15."""
    module = PReLU().double()
    x = torch.tensor([[-2.0, 3.0], [0.0, -0.5]], dtype=torch.float64)
    module(x).sum().backward()
    assert module.weight.grad.tolist() == [-2.5]


def test_prelu_in_float64_starts_at_the_number_asked_for():
    """0.1 as float32 is 0.10000000149; a slope that was trained or loaded is only converted."""
    assert PReLU(0.1).weight.dtype == torch.float32
    assert nn.Sequential(PReLU(0.1)).double()[0].weight.item() == 0.1
    loaded = PReLU(0.1)
    loaded.load_state_dict(nn.PReLU(init=0.4).state_dict())
    assert loaded.double().weight.item() == torch.tensor(0.4).item()
    assert PReLU(0.1).to("meta").double().weight.dtype == torch.float64


def test_prelu_slope_is_a_vector_and_exchanges_state_with_torch():
    """Weight decay leaves out what has fewer than two axes."""
    module = PReLU(0.1)
    module.load_state_dict(nn.PReLU(init=0.4).state_dict())
    assert module.weight.shape == (1,)
    assert module.weight.item() == pytest.approx(0.4)


def test_elu_tends_to_minus_alpha_and_keeps_digits_near_zero():
    """ACT-16: e^x - 1 would be 0 in float32 at 1e-9."""
    tiny = torch.tensor([-1e-9])
    assert float(ELU(0.7)(torch.tensor(-50.0))) == pytest.approx(-0.7)
    assert float(ELU()(tiny)) == pytest.approx(-1e-9, rel=1e-6)


def test_softmax_is_a_distribution_that_no_shift_changes():
    """ACT-21."""
    x = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 500.0]], dtype=torch.float64)
    torch.testing.assert_close(Softmax()(x).sum(-1), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(Softmax()(x + 700), Softmax()(x))


def test_softmax_of_two_is_a_sigmoid():
    x = torch.tensor([[0.3, -1.2], [4.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(Softmax()(x)[:, 1], Sigmoid()(x[:, 1] - x[:, 0]))


@pytest.mark.parametrize(
    ("build", "value"),
    [(LeakyReLU, 1.5), (LeakyReLU, -0.1), (ELU, 0.0), (PReLU, math.nan)],
)
def test_option_out_of_range_is_refused(build, value):
    with pytest.raises(ConfigError, match=r"\(activation\.(slope|alpha)\)"):
        build(value)


@pytest.mark.parametrize(
    ("module", "text"),
    [(LeakyReLU(0.2), "LeakyReLU(slope=0.2)"), (ELU(), "ELU(alpha=1)"), (ReLU(), "ReLU()")],
)
def test_repr_shows_the_options(module, text):
    assert repr(module) == text
