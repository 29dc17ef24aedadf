"""Batch normalization against float64 of the same rounded input, in C and in plain operations."""

import shutil

import pytest
import torch

from optlab.compiler import NoCompiler
from optlab.nn.native import library
from optlab.nn.normalization import normalize, operation
from optlab.nn.normalization.batchnorm import BatchNorm1d, BatchNorm2d

SHAPES = [(4096, 3), (512, 64), (40, 3, 3, 3), (16, 3, 28, 28)]


@pytest.fixture(params=["c", "plain"])
def kernels(request, monkeypatch):
    """Compute with C where there is a compiler, then without."""
    if request.param == "plain":
        monkeypatch.setattr(normalize, "kernels_for", lambda dtype: None)
        monkeypatch.setattr(operation, "kernels_of", lambda x: None)
    return request.param


def values(shape, mean, dtype=torch.float32, seed=0):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + mean
    return x.to(dtype)


def norm_of(shape, **options):
    return (BatchNorm1d if len(shape) == 2 else BatchNorm2d)(shape[1], **options)


def exact(x, eps=1e-5):
    x = x.double()
    axes = [axis for axis in range(x.ndim) if axis != 1]
    variance = x.var(axes, correction=0, keepdim=True)
    return (x - x.mean(axes, keepdim=True)) / (variance + eps).sqrt(), variance.flatten()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_c_is_compiled_where_there_is_a_compiler():
    assert not isinstance(library("norm"), NoCompiler)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("mean", [0.0, 10.0, 1e4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("last", [False, True], ids=["usual", "channels_last"])
def test_variance_keeps_its_digits_far_from_zero(shape, mean, last):
    """1e-6 is about ten roundings; torch's own error is 5e-3 at a mean of 1e4."""
    x, module = values(shape, mean), norm_of(shape, momentum=1.0)
    x = x.contiguous(memory_format=torch.channels_last) if last and x.ndim == 4 else x
    y = module(x)
    wanted, variance = exact(x)
    count = x.numel() / shape[1]
    error = (module.running_var.double() * ((count - 1) / count) - variance) / variance
    assert float(error.abs().max()) < 1e-6
    # The mean is kept in two parts: rounding it once would cost 5e-4 at 1e4.
    torch.testing.assert_close(y.double(), wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.usefixtures("kernels")
def test_an_outlier_at_the_beginning_costs_no_digits():
    """3e-6: the float32 sums that hold it are rounded at its size."""
    x = values((4096, 2), 0.0)
    x[0] = 1e3
    module = BatchNorm1d(2, momentum=1.0)
    module(x)
    wanted = x.double().var(0)
    assert float(((module.running_var - wanted) / wanted).abs().max()) < 3e-6


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("own", [False, True], ids=["float32_parameters", "own_parameters"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_half_precision_is_rounded_once(shape, dtype, own):
    x, module = values(shape, 2.0, dtype), norm_of(shape, momentum=1.0)
    module = module.to(dtype) if own else module
    y = module(x)
    wanted, variance = exact(x)
    assert y.dtype == dtype
    # Half a unit in the last place of the output, or of the running statistics.
    half = torch.finfo(dtype).eps / 2
    torch.testing.assert_close(y.double(), wanted, rtol=half * 1.01, atol=2e-6)
    count = x.numel() / shape[1]
    limit = half if own else 1e-6
    error = (module.running_var.double() * ((count - 1) / count) - variance) / variance
    assert float(error.abs().max()) < limit * 1.01


def test_half_precision_gradients_have_the_dtypes_of_what_they_belong_to():
    x, module = values((32, 4), 1.0, torch.bfloat16).requires_grad_(), BatchNorm1d(4)
    twin, exact_x = BatchNorm1d(4).double(), x.detach().double().requires_grad_()
    grad = values((32, 4), 0.0, torch.bfloat16, seed=1)
    module(x).backward(grad)
    twin(exact_x).backward(grad.double())
    assert (x.grad.dtype, module.weight.grad.dtype) == (torch.bfloat16, torch.float32)
    # Half a unit in the last of 8 bits; then float32 sums of 32 terms.
    torch.testing.assert_close(x.grad.double(), exact_x.grad, rtol=4e-3, atol=1e-5)
    torch.testing.assert_close(module.weight.grad.double(), twin.weight.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("mode", ["variance", "sigma"])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_are_those_of_float64(shape, mean, mode):
    x, module = values(shape, mean).requires_grad_(), norm_of(shape, eps_mode=mode)
    twin, exact_x = norm_of(shape, eps_mode=mode).double(), x.detach().double().requires_grad_()
    grad = values(shape, 0.5, seed=1)
    module(x).backward(grad)
    twin(exact_x).backward(grad.double())
    scale = float(exact_x.grad.abs().max())
    torch.testing.assert_close(x.grad.double(), exact_x.grad, rtol=0, atol=1e-5 * scale)
    for own, other in zip(module.parameters(), twin.parameters(), strict=True):
        scale = float(other.grad.abs().max())
        torch.testing.assert_close(own.grad.double(), other.grad, rtol=0, atol=1e-5 * scale)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("mode", ["variance", "sigma"])
def test_constant_channel_has_no_gradient_of_its_deviation(mode):
    x = torch.full((4, 2, 5, 5), 3.25).requires_grad_()
    module = BatchNorm2d(2, eps_mode=mode)
    y = module(x)
    y.backward(values(y.shape, 0.0))
    assert torch.equal(y, torch.zeros_like(y))
    assert torch.isfinite(x.grad).all()


@pytest.mark.usefixtures("kernels")
def test_evaluation_in_single_precision():
    x, module = values((64, 5), 3.0), BatchNorm1d(5)
    module(x)
    module.eval()
    twin = BatchNorm1d(5).double().eval()
    twin.load_state_dict(module.state_dict())
    torch.testing.assert_close(module(x).double(), twin(x.double()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(3000, 20), (8, 5, 30, 30), (500, 5, 2, 2)], ids=str)
def test_bits_do_not_depend_on_the_number_of_threads(shape):
    x, grad, threads = values(shape, 1.0), values(shape, 0.0, seed=1), torch.get_num_threads()
    results = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            module, own = norm_of(shape), x.clone().requires_grad_()
            y = module(own)
            y.backward(grad)
            results.append([y, own.grad, module.weight.grad, module.running_var])
    finally:
        torch.set_num_threads(threads)
    for left, right in zip(*results, strict=True):
        assert torch.equal(left, right)
