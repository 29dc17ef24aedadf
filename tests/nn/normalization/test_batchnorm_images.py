"""Batch normalization of images and sequences, in every order in memory, against torch."""

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.nn.normalization.batchnorm import BatchNorm1d, BatchNorm2d

CHANNELS_LAST = torch.channels_last


def images(*shape, seed=0, dtype=torch.float64):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=stream, dtype=torch.float64).mul(3).add(2).to(dtype)


def pair(features, **options):
    """Return ours and torch's, with the same random scale, shift and statistics, in float64."""
    torchs = nn.BatchNorm2d(features, **options).double()
    stream = torch.Generator().manual_seed(1)
    for value in (*torchs.parameters(), torchs.running_mean, torchs.running_var):
        if value is not None:
            value.data = torch.rand(value.shape, generator=stream, dtype=torch.float64) + 0.5
    ours = BatchNorm2d(features, **options).double()
    ours.load_state_dict(torchs.state_dict())
    return ours, torchs


def results(module, x, grad):
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = module(x)
    y.backward(grad)
    return [y, x.grad, *(p.grad for p in module.parameters()), *module.buffers()]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"affine": False}, {"track_running_stats": False}, {"momentum": None}], ids=str
)
@pytest.mark.parametrize(
    "shape", [(4, 3, 5, 5), (2, 3, 1, 2), (3, 2, 7, 3), (300, 2, 4, 4), (2, 1, 40, 40)], ids=str
)
@pytest.mark.parametrize("order", [torch.contiguous_format, CHANNELS_LAST], ids=["usual", "last"])
def test_equals_torch(shape, options, train, order):
    ours, torchs = (module.train(train) for module in pair(shape[1], **options))
    x, grad = images(*shape).contiguous(memory_format=order), images(*shape, seed=2)
    for own, other in zip(results(ours, x, grad), results(torchs, x, grad), strict=True):
        # Sums of up to 5,000 float64 numbers in another order.
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-11)


def test_gradients_equal_those_of_torch_on_average_averages_too():
    """Three batches; the running statistics of ``momentum=None`` are plain averages."""
    ours, torchs = pair(3, momentum=None)
    for step in range(3):
        x, grad = images(4, 3, 5, 5, seed=step), images(4, 3, 5, 5, seed=9)
        for own, other in zip(results(ours, x, grad), results(torchs, x, grad), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-12)
    assert int(ours.num_batches_tracked) == int(torchs.num_batches_tracked)


@pytest.mark.parametrize("order", [torch.contiguous_format, CHANNELS_LAST], ids=["usual", "last"])
@pytest.mark.parametrize("train", [True, False])
def test_output_keeps_the_order_in_memory_of_the_input(order, train):
    x = images(2, 3, 5, 4, dtype=torch.float32).contiguous(memory_format=order).requires_grad_()
    y = BatchNorm2d(3).train(train)(x)
    y.sum().backward()
    assert y.is_contiguous(memory_format=order)
    assert x.grad.is_contiguous(memory_format=order)


@pytest.mark.parametrize("view", [lambda x: x[:, :, ::2], lambda x: x.transpose(0, 3)[:, :3]])
def test_input_and_gradient_that_are_views_with_gaps(view):
    """Neither the usual order nor channels last."""
    ours, torchs = pair(3)
    x = view(images(6, 3, 6, 5))
    shape = x.shape
    grad = images(*shape, 2).select(-1, 0)
    for own, other in zip(results(ours, x, grad), results(torchs, x, grad), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-12)


def test_sequences_in_both_orders_equal_torch():
    """The long one is summed in pieces, of which the last is shorter than a vector.

    1e-9: its gradients are sums of 16,000 numbers around 2.
    """
    for x in (images(4, 3, 20), images(4, 20, 3).transpose(1, 2), images(2, 3, 8195)):
        ours, torchs = BatchNorm1d(3).double(), nn.BatchNorm1d(3).double()
        grad = images(*x.shape, seed=3)
        for own, other in zip(results(ours, x, grad), results(torchs, x, grad), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("mode", ["variance", "sigma"])
@pytest.mark.parametrize("shape", [(3, 2, 2, 2), (2, 2, 4, 4)], ids=str)
@pytest.mark.parametrize("train", [True, False])
def test_first_and_second_derivatives_are_those_of_finite_differences(mode, shape, train):
    module = BatchNorm2d(2, eps=0.1, eps_mode=mode).double().train(train)
    module.weight.data = torch.tensor([0.7, -1.3], dtype=torch.float64)
    x = images(*shape).requires_grad_()
    inputs = (x, module.weight, module.bias)

    def call(x, weight, bias):
        return torch.func.functional_call(module, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_gradient_that_is_not_needed_is_not_made():
    module, x = BatchNorm2d(3), images(4, 3, 5, 5, dtype=torch.float32)
    module.weight.requires_grad_(False)
    module(x).square().sum().backward()
    assert module.weight.grad is None
    assert module.bias.grad is not None


def test_nan_stays_in_its_channel():
    x = images(4, 3, 5, 5, dtype=torch.float32)
    clean = results(BatchNorm2d(3), x, torch.ones_like(x))
    x[1, 1, 2, 2] = float("nan")
    got = results(BatchNorm2d(3), x, torch.ones_like(x))
    assert got[0][:, 1].isnan().all()
    for spoiled, whole in zip(got, clean, strict=True):
        if whole.ndim:
            channels = 1 if whole.ndim == 4 else 0
            others = torch.tensor([0, 2])
            left, right = (t.index_select(channels, others) for t in (spoiled, whole))
            torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_weights_of_a_bias_free_norm():
    module = BatchNorm2d(3, bias=False)
    assert [name for name, _ in module.named_parameters()] == ["weight"]
    x = images(4, 3, 5, 5, dtype=torch.float32)
    torch.testing.assert_close(module(x), BatchNorm2d(3)(x))


def test_without_running_statistics_evaluation_uses_the_batch():
    module = BatchNorm2d(3, track_running_stats=False)
    x = images(4, 3, 5, 5, dtype=torch.float32)
    assert not list(module.buffers())
    assert torch.equal(module(x), module.eval()(x))
    with pytest.raises(ConfigError, match="at least 2 values"):
        BatchNorm1d(3, track_running_stats=False).eval()(x[:1, :, 0, 0])


def test_no_rows_are_normalized_in_evaluation_and_refused_in_training():
    module = BatchNorm2d(3)
    with pytest.raises(ConfigError, match="at least 2 values per feature to train on, got 0"):
        module(torch.zeros(0, 3, 4, 4))
    assert module.eval()(torch.zeros(0, 3, 4, 4)).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 2, 5, 5), (3, 5, 5)])
def test_image_of_another_shape_is_refused(shape):
    with pytest.raises(ConfigError, match=r"BatchNorm2d takes .* \(B, 3, H, W\), got"):
        BatchNorm2d(3)(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_dtype_that_does_not_fit_is_refused(dtype):
    with pytest.raises(ConfigError, match="convert the input"):
        BatchNorm2d(3)(torch.zeros(2, 3, 4, 4, dtype=dtype))


@pytest.mark.parametrize("name", ["weight", "running_mean"])
@pytest.mark.parametrize("train", [True, False])
def test_parameter_or_statistic_of_another_size_is_refused(name, train):
    """A kernel would read what lies behind it."""
    module = BatchNorm2d(3).train(train)
    setattr(module, name, nn.Parameter(torch.ones(2)) if name == "weight" else torch.ones(2))
    if name == "weight" or not train:
        with pytest.raises(ConfigError, match=rf"{name} must have shape \(3,\), .* got \(2,\)"):
            module(torch.zeros(2, 3, 4, 4))
    else:
        with pytest.raises(RuntimeError, match="size of tensor"):
            module(torch.zeros(2, 3, 4, 4))


def test_a_parameter_computed_from_others_is_used():
    module = BatchNorm2d(3)

    class Double(nn.Module):
        def forward(self, weight):
            return 2 * weight

    x = images(4, 3, 5, 5, dtype=torch.float32)
    plain = module(x)
    nn.utils.parametrize.register_parametrization(module, "weight", Double())
    torch.testing.assert_close(module(x), 2 * plain)


def test_running_statistics_know_that_they_were_changed():
    """A result that needs them for its gradient is refused once training has moved them."""
    module, x = BatchNorm2d(3), images(4, 3, 5, 5, dtype=torch.float32).requires_grad_()
    y = module.eval()(x)
    module.train()(x.detach())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
