"""Batch normalization against torch, float64 and the facts of the notes (NRM-01 .. 04, E9)."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.nn import BatchNorm1d

MODES = ["variance", "sigma"]


def rows(num=16, features=4, seed=0, dtype=torch.float64):
    stream = torch.Generator().manual_seed(seed)
    scale = torch.tensor([1.0, 3.0, 0.1, 10.0])[:features]
    x = torch.randn(num, features, generator=stream) * scale + scale
    return x.to(dtype)


def random_affine(module, seed=1):
    stream = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=stream).to(parameter.dtype)
    return module


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(16, 4), (5, 4, 3)], ids=["BF", "BFL"])
def test_equals_torch_over_steps_and_in_evaluation(affine, shape):
    ours = random_affine(BatchNorm1d(4, eps=1e-3, momentum=0.3, affine=affine).double())
    torchs = nn.BatchNorm1d(4, eps=1e-3, momentum=0.3, affine=affine).double()
    torchs.load_state_dict(ours.state_dict())
    for step in range(6):
        train = step not in (2, 5)
        ours.train(train)
        torchs.train(train)
        x = rows(60, seed=step).flatten()[: torch.Size(shape).numel()].reshape(shape)
        own, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        ours.zero_grad()
        torchs.zero_grad()
        ours(own).sin().sum().backward()
        torchs(other).sin().sum().backward()
        torch.testing.assert_close(ours(own), torchs(other))
        torch.testing.assert_close(own.grad, other.grad)
        for left, right in zip(ours.parameters(), torchs.parameters(), strict=True):
            torch.testing.assert_close(left.grad, right.grad)
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict())


def test_state_dict_of_torch_can_be_loaded_and_given_back():
    ours, torchs = BatchNorm1d(4), random_affine(nn.BatchNorm1d(4))
    torchs(rows(dtype=torch.float32))
    ours.load_state_dict(torchs.state_dict())
    nn.BatchNorm1d(4).load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict())


@pytest.mark.parametrize("mode", MODES)
def test_output_has_mean_zero_and_deviation_one(mode):
    """NRM-01 and NRM-02: for every feature on its own."""
    out = BatchNorm1d(4, eps=1e-12, eps_mode=mode).double()(rows())
    torch.testing.assert_close(out.mean(0), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(out.std(0, correction=0), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize(("mode", "deviation"), [("sigma", 0.990), ("variance", 0.302)])
def test_place_of_eps_matters_for_a_small_deviation(mode, deviation):
    """E9: what is left of a standard deviation of 1e-3 with eps 1e-5."""
    x = torch.tensor([[-1e-3], [1e-3]], dtype=torch.float64)
    out = BatchNorm1d(1, eps_mode=mode).double()(x)
    assert float(out.std(0, correction=0).detach()) == pytest.approx(deviation, abs=5e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("train", [True, False])
def test_gradcheck(mode, train):
    module = random_affine(BatchNorm1d(3, eps=0.01, eps_mode=mode).double()).train(train)
    x = rows(6, 3).requires_grad_()
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradgradcheck(module, (x,))


@pytest.mark.parametrize("mode", MODES)
def test_constant_feature_gives_its_bias_and_no_nan(mode):
    """A dead unit before the normalization; sqrt has an infinite derivative at 0."""
    module = BatchNorm1d(2, eps_mode=mode)
    nn.init.constant_(module.bias, 0.7)
    x = torch.stack([torch.full((5,), 3.0), torch.arange(5.0)], dim=1).requires_grad_()
    out = module(x)
    out.square().sum().backward()
    torch.testing.assert_close(out[:, 0], torch.full((5,), 0.7))
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(module.running_var).all()


def test_scale_sigma_and_shift_mean_make_it_the_identity():
    """NRM-03."""
    x = rows()
    module = BatchNorm1d(4).double()
    module.weight.data = (x.var(0, correction=0) + module.eps).sqrt()
    module.bias.data = x.mean(0)
    torch.testing.assert_close(module(x), x)


def test_four_numbers_per_feature_two_of_them_trained():
    """NRM-02."""
    module = BatchNorm1d(7)
    assert sum(p.numel() for p in module.parameters()) == 2 * 7
    assert sum(b.numel() for b in module.buffers() if b.ndim) == 2 * 7


def test_running_statistics_are_moving_averages_of_unbiased_ones():
    """NRM-04."""
    module = BatchNorm1d(4, momentum=0.25).double()
    mean, variance = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    for step in range(3):
        x = rows(seed=step)
        module(x)
        mean = 0.75 * mean + 0.25 * x.mean(0)
        variance = 0.75 * variance + 0.25 * x.var(0)
    torch.testing.assert_close(module.running_mean, mean)
    torch.testing.assert_close(module.running_var, variance)
    assert int(module.num_batches_tracked) == 3


def test_evaluation_depends_on_no_other_row_and_moves_nothing():
    """NRM-04: a batch of one row gives what it gives among others."""
    module = BatchNorm1d(4).double()
    module(rows())
    module.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.testing.assert_close(module(rows()[:1])[0], module(rows())[0])
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


def test_one_row_cannot_be_trained_on():
    with pytest.raises(ConfigError, match="at least 2 values per feature to train on, got 1"):
        BatchNorm1d(4)(rows(1, dtype=torch.float32))


@pytest.mark.parametrize("shape", [(16,), (16, 5), (4, 5, 3), (2, 4, 3, 3)])
def test_input_of_another_shape_is_refused(shape):
    with pytest.raises(ConfigError, match=r"shape \(B, 4\) or \(B, 4, L\), got"):
        BatchNorm1d(4)(torch.zeros(shape))


def test_variance_keeps_its_digits_far_from_zero():
    """Against float64 of the same rounded input, at mean / deviation = 1e4.

    E[x^2] - E[x]^2 in float32 gives a negative variance here. 1e-6 is about ten roundings.
    """
    x = torch.randn(4096, 3, generator=torch.Generator().manual_seed(0)) + 1e4
    module = BatchNorm1d(3, momentum=1.0)
    module(x)
    exact = x.double().var(0)
    assert float(((module.running_var.double() - exact) / exact).abs().max()) < 1e-6


@pytest.mark.parametrize("mode", MODES)
def test_stack_equals_each_run_buffers_too(mode):
    runs = [random_affine(BatchNorm1d(4, eps_mode=mode).double(), seed=i) for i in range(3)]
    parameters, buffers = stack_module_state(runs)
    x = torch.stack([rows(seed=i) for i in range(3)])

    def total(p, b, batch):
        return functional_call(runs[0], (p, b), (batch,)).sin().sum()

    for _ in range(2):
        stacked = vmap(grad(total))(parameters, buffers, x)
    for number, run in enumerate(runs):
        for _ in range(2):
            run.zero_grad()
            run(x[number]).sin().sum().backward()
        for name, parameter in run.named_parameters():
            torch.testing.assert_close(stacked[name][number], parameter.grad)
        for name, buffer in run.named_buffers():
            torch.testing.assert_close(buffers[name][number], buffer)


@pytest.mark.parametrize(
    ("option", "value"), [("eps", 0.0), ("momentum", 1.5), ("eps_mode", "root")]
)
def test_option_out_of_range_is_refused(option, value):
    with pytest.raises(ConfigError, match=rf"\(norm\.{option}\)"):
        BatchNorm1d(4, **{option: value})


def test_repr_shows_the_options():
    assert repr(BatchNorm1d(4)) == "BatchNorm1d(4, eps=1e-05, eps_mode=variance)"
