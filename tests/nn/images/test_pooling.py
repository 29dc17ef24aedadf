"""Pooling against torch and closed forms, in both kernels, alone and in stacks (CNN-03)."""

import pytest
import torch
from torch import nn
from torch.func import grad, vmap

from optlab.config import ConfigError
from optlab.nn.images import pooling_operation
from optlab.nn.images.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d

PAIRS = [(MaxPool2d, nn.MaxPool2d), (AvgPool2d, nn.AvgPool2d)]
CASES = {
    "halves": ((8, 8), {"kernel_size": 2}),
    "odd_size": ((7, 9), {"kernel_size": 2}),
    "overlap": ((8, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "dense": ((5, 6), {"kernel_size": 3, "stride": 1}),
    "gaps": ((11, 10), {"kernel_size": 2, "stride": 4}),
    "unequal": ((9, 6), {"kernel_size": (3, 2), "stride": (1, 3), "padding": (1, 0)}),
    "whole": ((4, 5), {"kernel_size": (4, 5)}),
}


@pytest.fixture(params=["c", "eager"])
def kernel(request, monkeypatch):
    """Compute in C where there is a compiler, then without it."""
    if request.param == "eager":
        monkeypatch.setattr(pooling_operation, "kernel_for", lambda *arguments: None)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def passed(module, x):
    """Return the output and the gradient of x."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = module(x)
    (slope,) = torch.autograd.grad(y, x, normal(*y.shape, seed=9, dtype=y.dtype))
    return y.detach(), slope


def assert_equal(module, other, x, **tolerance):
    for mine, its in zip(passed(module, x), passed(other, x), strict=True):
        torch.testing.assert_close(mine, its, equal_nan=True, **tolerance)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_equals_torch(ours, torchs, case, dtype):
    size, options = CASES[case]
    assert_equal(ours(**options), torchs(**options), normal(3, 2, *size, dtype=dtype))


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("case", ["halves", "overlap", "unequal"])
def test_of_equal_maxima_the_first_takes_the_gradient(case):
    """As torch: small whole numbers, so that nearly every window has a tie."""
    size, options = CASES[case]
    x = normal(3, 4, *size).round()
    assert_equal(MaxPool2d(**options), nn.MaxPool2d(**options), x, rtol=0, atol=1e-15)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("case", ["halves", "overlap"])
@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_numbers_that_are_not_finite_pass_as_in_torch(ours, torchs, case, value):
    options = CASES[case][1]
    x = normal(2, 3, 8, 8)
    x[0, 0, 3:6, 2:5] = value
    x[1, 2] = value
    assert_equal(ours(**options), torchs(**options), x)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_gradients_of_first_and_second_order_match_differences(module):
    x = normal(2, 2, 5, 6).requires_grad_()
    layer = module((3, 2), stride=(2, 1), padding=(1, 1))

    def curved(x):
        """Give pooling, which is linear between ties, a second derivative."""
        return layer(x.sin()).square()

    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(curved, (x,))


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_memory_format_is_kept_and_changes_no_number(module):
    x = normal(2, 3, 6, 8)
    last = x.contiguous(memory_format=torch.channels_last)
    layer = module(2)
    assert layer(last).is_contiguous(memory_format=torch.channels_last)
    assert layer(x).is_contiguous()
    for left, right in zip(passed(layer, last), passed(layer, x), strict=True):
        assert torch.equal(left, right)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_one_image_and_none(module):
    assert module(2)(normal(3, 4, 6)).shape == (3, 2, 3)
    empty = normal(0, 3, 4, 6).requires_grad_()
    module(2)(empty).sum().backward()
    assert module(2)(empty).shape == (0, 3, 2, 3)
    assert empty.grad.shape == empty.shape


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_stack_equals_each_run(module):
    layer, x = module(2), normal(3, 4, 2, 6, 6)

    def total(images):
        return layer(images).sin().sum()

    stacked = vmap(grad(total))(x)
    for number, images in enumerate(x):
        torch.testing.assert_close(stacked[number], grad(total)(images))


@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_second_derivatives_in_a_stack_are_those_of_each_run(module):
    layer, x = module(2), normal(3, 2, 2, 4, 4)

    def slope_size(images):
        return grad(lambda images: layer(images).sin().sum())(images).square().sum()

    stacked = vmap(grad(slope_size))(x)
    for number, images in enumerate(x):
        own = images.clone().requires_grad_()
        (slope,) = torch.autograd.grad(layer(own).sin().sum(), own, create_graph=True)
        slope.square().sum().backward()
        torch.testing.assert_close(stacked[number], own.grad)


@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_compiled_layer_equals_the_layer(module):
    compiled = torch.compile(module(2), fullgraph=True, backend="aot_eager")
    assert_equal(compiled, module(2), normal(2, 2, 6, 6))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_half_precision(ours, torchs, dtype):
    # A mean is rounded once or twice; bfloat16 has 8 bits.
    assert_equal(ours(2), torchs(2), normal(2, 3, 6, 6, dtype=dtype), rtol=0.01, atol=0.01)


@pytest.mark.parametrize(
    ("dtype", "value"), [(torch.bfloat16, 1.0), (torch.float16, 300.0), (torch.float16, 1.0)]
)
def test_mean_of_many_pixels_in_half_precision(dtype, value):
    """In bfloat16 256 + 1 is 256, and float16 ends at 65504."""
    x = torch.full((1, 1, 32, 32), value, dtype=dtype)
    assert float(AvgPool2d(32)(x)) == value


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradient_of_means_in_half_precision(dtype):
    """The middle pixel belongs to 1024 windows and has 1/1024 of each."""
    x = torch.zeros(1, 1, 63, 63, dtype=dtype, requires_grad=True)
    AvgPool2d(32, stride=1)(x).sum().backward()
    assert x.grad.dtype == dtype
    assert float(x.grad[0, 0, 31, 31]) == 1.0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradient_of_means_in_half_precision_is_rounded_once(dtype, monkeypatch):
    monkeypatch.setattr(pooling_operation, "kernel_for", lambda *arguments: None)
    slope, slopes = normal(2, 3, 6, 6, dtype=dtype), []
    for kind in (dtype, torch.float32):
        x = torch.zeros(2, 3, 6, 6, dtype=kind, requires_grad=True)
        AvgPool2d(3, 1, 1)(x).backward(slope.to(kind))
        slopes.append(x.grad)
    assert torch.equal(slopes[0], slopes[1].to(dtype))


def test_gradient_of_maxima_in_half_precision():
    x = torch.zeros(1, 1, 63, 63, dtype=torch.bfloat16)
    x[0, 0, 31, 31] = 1.0
    x.requires_grad_()
    MaxPool2d(32, stride=1)(x).sum().backward()
    assert float(x.grad[0, 0, 31, 31]) == 1024.0


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("name", ["max", "avg"])
def test_gradient_lies_in_memory_as_a_compiler_is_told(name):
    x, numbers = normal(1, 2, 3, 5, 6), ((3, 3), (2, 2), (1, 1))
    y, *kept = getattr(pooling_operation, f"_{name}_forward")(x, *numbers)
    (slope,) = getattr(pooling_operation, f"_{name}_backward")(y, x, *kept, *numbers, (True,))
    assert slope.shape == x.shape
    assert slope.is_contiguous()


def test_several_threads_compute_the_same():
    x = normal(7, 3, 8, 8)
    alone = [passed(module(2), x) for module in (MaxPool2d, AvgPool2d)]
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        together = [passed(module(2), x) for module in (MaxPool2d, AvgPool2d)]
    finally:
        torch.set_num_threads(before)
    for left, right in zip(alone, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_pooling_by_two_halves_both_sides():
    """CNN-03: a quarter of the pixels, and of the work of the next convolution."""
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert MaxPool2d(2)(x).flatten().tolist() == [5.0, 7.0, 13.0, 15.0]
    assert AvgPool2d(2)(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_global_mean_equals_torch():
    torchs = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert_equal(GlobalAvgPool2d(), torchs, normal(3, 4, 5, 6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be one or two whole numbers >= 1, got 0"),
        ({"kernel_size": 2, "stride": 0}, "stride must be one or two whole numbers >= 1, got 0"),
        ({"kernel_size": 3, "padding": 2}, r"at most half of kernel_size \(3, 3\), got 2"),
        ({"kernel_size": 200}, r"cover at most 32768 pixels, got \(200, 200\)"),
    ],
)
@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_option_out_of_range_is_refused(module, options, message):
    with pytest.raises(ConfigError, match=message):
        module(**options)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5, 6), r"shape \(B, C, H, W\) or \(C, H, W\), got \(5, 6\)"),
        (torch.zeros(2, 3, 1, 6), r"at least 2 pixels along axis -2, got x of shape"),
        (torch.zeros(2, 3, 6, 6).long(), r"real numbers, got torch\.int64"),
    ],
)
def test_input_that_does_not_fit_is_refused(x, message):
    with pytest.raises(ConfigError, match=message):
        MaxPool2d(2)(x)


@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
@pytest.mark.parametrize("shape", [(2, 3, 0, 4), (2, 3, 4, 0), (3, 0, 0)])
def test_images_without_pixels_are_refused_whatever_the_padding(module, shape):
    with pytest.raises(ConfigError, match=f"{module.__name__} takes images of at least one pixel"):
        module(2, padding=1)(torch.zeros(shape))


def no_memory(*arguments):
    """Stand for a C function that finds none."""
    return 1


@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_lack_of_memory_is_an_error(module, monkeypatch):
    def lacking(name, *tensors):
        return no_memory if name.endswith(which) else kernel_for(name, *tensors)

    kernel_for = pooling_operation.kernel_for
    monkeypatch.setattr(pooling_operation, "kernel_for", lacking)
    x = normal(1, 1, 4, 4).requires_grad_()
    which = "pool2d"
    with pytest.raises(MemoryError, match="no memory for what a convolution or a pooling keeps"):
        module(2)(x)
    which = "grad"
    y = module(2)(x).sum()
    with pytest.raises(MemoryError, match="no memory for what a convolution or a pooling keeps"):
        y.backward()


@pytest.mark.skipif(
    pooling_operation.kernel_for("avg_pool2d", torch.zeros(1)) is None, reason="no C compiler"
)
@pytest.mark.parametrize("name", ["max_pool2d", "max_pool2d_grad", "avg_pool2d", "avg_pool2d_grad"])
def test_lack_of_memory_is_found_in_c(name):
    """Sizes beyond every address: nothing is read or written."""
    function = pooling_operation.kernel_for(name, torch.zeros(1))
    sizes = pooling_operation._Sizes(1, 1, 2**50, 1, 2**50, 1, 2**50, 1, 1, 0, 0)
    assert function(sizes, *[None] * (len(function.argtypes) - 2), 1) == 1


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 3, 0, 4)])
def test_global_mean_of_something_else_is_refused(shape):
    with pytest.raises(ConfigError, match=r"shape \(B, C, H, W\) with at least one pixel, got"):
        GlobalAvgPool2d()(torch.zeros(shape))


def test_repr_shows_the_options():
    assert repr(MaxPool2d(2)) == "MaxPool2d((2, 2), stride=(2, 2), padding=(0, 0))"


@pytest.mark.gpu
@pytest.mark.parametrize("module", [MaxPool2d, AvgPool2d])
def test_cuda_equals_the_cpu(module):
    layer, x = module(3, 2, 1), normal(2, 3, 8, 8)
    own = x.cuda().requires_grad_()
    layer(own).sin().sum().backward()
    other = x.clone().requires_grad_()
    layer(other).sin().sum().backward()
    torch.testing.assert_close(own.grad.cpu(), other.grad)
