"""Convolution against torch and closed forms, in both kernels, alone and in stacks (CNN-01, 02)."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.nn.images import convolution_native, convolution_operation
from optlab.nn.images.convolution import Conv2d
from optlab.tasks.digits import read_digits

# Batch, channels in and out, size, and options: every branch of the geometry.
CASES = {
    "padded": (5, 3, 7, (8, 8), {"kernel_size": 3, "padding": 1}),
    "no_padding": (2, 2, 5, (9, 7), {"kernel_size": 3}),
    "wide_padding": (2, 3, 4, (2, 2), {"kernel_size": 3, "padding": 2}),
    "stride": (4, 16, 12, (16, 16), {"kernel_size": 3, "padding": 1, "stride": 2}),
    "stride_odd_size": (3, 2, 5, (11, 6), {"kernel_size": 3, "padding": 1, "stride": 2}),
    "stride_beyond_kernel": (2, 1, 2, (10, 10), {"kernel_size": 2, "stride": 4}),
    "shortcut": (2, 6, 8, (8, 8), {"kernel_size": 1, "stride": 2}),
    "unequal": (
        *(2, 4, 6, (9, 7)),
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)},
    ),
    "groups": (3, 4, 6, (5, 6), {"kernel_size": 3, "padding": 1, "groups": 2}),
    "depthwise": (3, 8, 8, (5, 5), {"kernel_size": 3, "stride": 2, "groups": 8}),
    "dilation": (2, 2, 10, (12, 12), {"kernel_size": 3, "padding": "same", "dilation": 2}),
    "beyond_the_image": (2, 2, 3, (6, 3), {"kernel_size": 3, "padding": 4, "dilation": 4}),
    "kernel_beyond_the_image": (2, 2, 3, (2, 2), {"kernel_size": 7, "padding": 3}),
    "stride_beyond_the_image": (
        *(2, 3, 4, (5, 1)),
        {"kernel_size": (3, 1), "stride": (7, 2), "padding": (1, 0)},
    ),
    "stride_past_every_pixel": (2, 2, 3, (1, 2), {"kernel_size": 2, "stride": 9, "padding": 2}),
    "one_output": (1, 1, 1, (3, 3), {"kernel_size": 3}),
    "no_bias": (2, 3, 4, (6, 6), {"kernel_size": 3, "bias": False}),
    "several_chunks": (9, 64, 19, (8, 8), {"kernel_size": 3, "padding": 1}),
}

needs_c = pytest.mark.skipif(
    convolution_native.kernel_for(torch.zeros(1)) is None, reason="no C compiler"
)


@pytest.fixture(params=["c", "eager"])
def kernel(request, monkeypatch):
    """Compute in C where there is a compiler, then without it."""
    if request.param == "eager":
        monkeypatch.setattr(convolution_native, "kernel_for", lambda *tensors: None)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def filled(module, seed=1):
    for parameter in module.parameters():
        parameter.data = normal(*parameter.shape, seed=seed, dtype=parameter.dtype)
    return module


def pair_of(channels, outputs, options, dtype=torch.float64):
    ours = filled(Conv2d(channels, outputs, **options, dtype=dtype))
    torchs = nn.Conv2d(channels, outputs, **options, dtype=dtype)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


def passed(module, x):
    """Return the output and all gradients, of x first."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = module(x)
    slope = normal(*y.shape, seed=9, dtype=y.dtype)
    return [y.detach(), *torch.autograd.grad(y, [x, *module.parameters()], slope)]


def assert_equal(module, other, x, bound=1e-12):
    """Relative to the largest number: sums are taken in another order than torch's."""
    for mine, its in zip(passed(module, x), passed(other, x), strict=True):
        assert mine.shape == its.shape
        assert float((mine - its).abs().max()) <= bound * float(its.abs().max())


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("case", CASES)
def test_equals_torch_in_float64(case):
    batch, channels, outputs, size, options = CASES[case]
    ours, torchs = pair_of(channels, outputs, options)
    assert_equal(ours, torchs, normal(batch, channels, *size))


@pytest.mark.parametrize("case", ["padded", "stride", "several_chunks"])
def test_float32_is_as_near_to_float64_as_torch_is(case):
    batch, channels, outputs, size, options = CASES[case]
    ours, torchs = pair_of(channels, outputs, options, torch.float32)
    exact = pair_of(channels, outputs, options)[1]
    x = normal(batch, channels, *size)
    results = zip(*(passed(m, x.to(m.weight.dtype)) for m in (ours, torchs, exact)), strict=True)
    for mine, its, wanted in results:
        scale = float(wanted.abs().max())
        # Rounding grows with the number of terms; torch's own error is the measure, and a few
        # roundings for sums that torch happens to get exactly.
        allowed = 4 * float((its - wanted).abs().max()) + 4e-7 * scale
        assert float((mine - wanted).abs().max()) <= allowed


def test_rounding_does_not_grow_with_every_term():
    """65536 equal terms, one after the other, are off by 1e-4 and more."""
    module = Conv2d(2**16, 1, 1, bias=False)
    module.weight.data.fill_(0.1)
    x = torch.ones(1, 2**16, 1, 1, requires_grad=True)
    exact = 2**16 * module.weight[0, 0, 0, 0].double()
    # Parts of some hundred terms, each within its rounding, then some hundred parts.
    torch.testing.assert_close(module(x).double().squeeze(), exact, rtol=1e-5, atol=0)
    other = Conv2d(1, 2**16, 1, bias=False)
    other.weight.data.fill_(0.1)
    image = torch.ones(1, 1, 1, 1, requires_grad=True)
    other(image).sum().backward()
    torch.testing.assert_close(image.grad.double().squeeze(), exact, rtol=1e-5, atol=0)


def test_stride_far_beyond_the_image_costs_nothing():
    module = Conv2d(1, 1, 1, stride=2**40)
    x = torch.ones(1, 1, 8, 8, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.count_nonzero() == 1
    torch.testing.assert_close(x.grad[0, 0, 0, 0], module.weight.detach().squeeze())


def test_several_threads_compute_the_same():
    ours, torchs = pair_of(4, 6, {"kernel_size": 3, "padding": 1})
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert_equal(ours, torchs, normal(7, 4, 6, 6))
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("case", ["stride_odd_size", "unequal", "groups"])
def test_gradients_of_first_and_second_order_match_differences(case):
    _, channels, _, _, options = CASES[case]
    module = filled(Conv2d(channels, channels, **options, dtype=torch.float64))
    x = normal(2, channels, 5, 4).requires_grad_()

    def outputs(x, weight, bias):
        return functional_call(module, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(outputs, (x, module.weight, module.bias))
    assert torch.autograd.gradgradcheck(outputs, (x, module.weight, module.bias))


def test_second_derivatives_in_a_stack_are_those_of_each_layer():
    """`torch.func.grad` of `torch.func.grad`, mapped, against autograd twice."""
    runs = [filled(Conv2d(2, 2, 3, stride=2, padding=1), seed=i).double() for i in range(2)]
    parameters, _ = stack_module_state(runs)
    x = normal(2, 3, 2, 5, 4)

    def slope_size(p, images):
        def total(images):
            return functional_call(runs[0], p, (images,)).sin().sum()

        return grad(total)(images).square().sum()

    stacked = vmap(grad(slope_size))(parameters, x)
    for number, run in enumerate(runs):
        own = x[number].clone().requires_grad_()
        (slope,) = torch.autograd.grad(run(own).sin().sum(), own, create_graph=True)
        slope.square().sum().backward()
        for name, parameter in run.named_parameters():
            torch.testing.assert_close(stacked[name][number], parameter.grad)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.mT.contiguous().mT,
        lambda x: torch.cat([x, x])[::2],
        lambda x: x[:1].expand(4, -1, -1, -1),
    ],
    ids=["channels_last", "transposed", "strided", "expanded"],
)
def test_memory_layout_changes_no_number(layout):
    ours, torchs = pair_of(3, 5, {"kernel_size": 3, "padding": 1})
    assert_equal(ours, torchs, layout(normal(4, 3, 6, 7)))


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("channels_last", [True, False])
def test_output_lies_in_memory_as_the_input(channels_last):
    form = torch.channels_last if channels_last else torch.contiguous_format
    y = Conv2d(3, 5, 3, padding=1)(torch.zeros(2, 3, 6, 6).contiguous(memory_format=form))
    assert y.is_contiguous(memory_format=form)


@pytest.mark.usefixtures("kernel")
def test_one_image_and_none():
    ours, torchs = pair_of(3, 5, {"kernel_size": 3})
    assert_equal(ours, torchs, normal(3, 6, 6))
    empty = normal(0, 3, 6, 6).requires_grad_()
    y = ours(empty)
    y.sum().backward()
    assert y.shape == (0, 5, 4, 4)
    assert empty.grad.shape == empty.shape
    assert not ours.weight.grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_float32(dtype):
    ours = filled(Conv2d(3, 4, 3, dtype=dtype))
    wide = filled(Conv2d(3, 4, 3))
    wide.load_state_dict(ours.state_dict())
    x = normal(2, 3, 5, 5, dtype=dtype)
    y = ours(x)
    assert y.dtype == dtype
    # The product is rounded, then the bias is added: two roundings, one of 2^-8 in bfloat16.
    torch.testing.assert_close(y.float(), wide(x.float()), rtol=0.02, atol=0.05)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gradient_of_half_precision_is_summed_in_float32(dtype):
    """The middle pixel is seen from 1024 places; in bfloat16 256 + 1 is 256."""
    module = Conv2d(1, 1, 32, bias=False, dtype=dtype)
    module.weight.data.fill_(1.0)
    x = torch.zeros(1, 1, 63, 63, dtype=dtype, requires_grad=True)
    module(x).sum().backward()
    assert float(x.grad[0, 0, 31, 31]) == 1024.0


@pytest.mark.usefixtures("kernel")
def test_gradients_lie_in_memory_as_a_compiler_is_told():
    x, weight, grad = normal(1, 2, 3, 5, 6), normal(1, 4, 3, 3, 3), normal(1, 2, 4, 5, 6)
    numbers = ((1, 1), (1, 1, 1, 1), (1, 1), 1, (True, True, True))
    slopes = convolution_operation._backward(grad, x, weight, normal(1, 4), *numbers)
    assert [slope.shape for slope in slopes] == [x.shape, weight.shape, (1, 4)]
    assert all(slope.is_contiguous() for slope in slopes)


def test_gradients_that_nobody_wants_are_not_computed():
    module = Conv2d(1, 2, 3)
    module.weight.requires_grad_(False)
    module(torch.ones(1, 1, 4, 4)).sum().backward()
    assert module.weight.grad is None
    torch.testing.assert_close(module.bias.grad, torch.full((2,), 4.0))


@pytest.mark.usefixtures("kernel")
def test_stack_equals_each_layer():
    """Own weights and own images for each of three runs."""
    runs = [filled(Conv2d(3, 6, 3, padding=1, stride=2), seed=i) for i in range(3)]
    x = normal(3, 4, 3, 9, 9, dtype=torch.float32)
    parameters, _ = stack_module_state(runs)

    def total(p, images):
        return functional_call(runs[0], p, (images,)).sin().sum()

    slopes, slopes_x = vmap(grad(total, argnums=(0, 1)))(parameters, x)
    for number, run in enumerate(runs):
        own = x[number].clone().requires_grad_()
        run(own).sin().sum().backward()
        torch.testing.assert_close(slopes_x[number], own.grad)
        for name, parameter in run.named_parameters():
            torch.testing.assert_close(slopes[name][number], parameter.grad)


@needs_c
def test_number_of_runs_changes_no_bit():
    runs = [filled(Conv2d(3, 6, 3, padding=1), seed=i) for i in range(3)]
    x = normal(3, 4, 3, 9, 9, dtype=torch.float32)
    parameters, _ = stack_module_state(runs)

    def slopes(members):
        def total(p, images):
            return functional_call(runs[0], p, (images,)).square().sum()

        some = {name: p[members] for name, p in parameters.items()}
        return vmap(grad(total))(some, x[members])

    alone, together = slopes(slice(1, 2)), slopes(slice(None))
    for name, slope in alone.items():
        assert torch.equal(slope[0], together[name][1])


def test_compiled_layer_equals_the_layer():
    module = filled(Conv2d(2, 3, 3, padding=1))
    x = normal(2, 2, 5, 5, dtype=torch.float32)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert_equal(compiled, module, x, bound=1e-6)


def test_nan_in_one_run_stays_there():
    weight, x = normal(2, 4, 3, 3, 3), normal(2, 1, 3, 5, 5)
    x[0] = float("nan")
    module = Conv2d(3, 4, 3, bias=False, dtype=torch.float64)
    y = vmap(lambda w, rows: functional_call(module, {"weight": w}, (rows,)))(weight, x)
    assert y[0].isnan().all()
    assert not y[1].isnan().any()


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_reaches_the_outputs_that_see_it_and_no_other(value):
    ours, torchs = pair_of(3, 5, {"kernel_size": 3, "padding": 1})
    x = normal(2, 3, 9, 9)
    x[0, 1, 0, 8] = x[1, 2, 4, 4] = value
    torch.testing.assert_close(ours(x), torchs(x), equal_nan=True)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 4, 6, 6), r"shape \(B, 3, H, W\) or \(3, H, W\), got \(2, 4, 6, 6\)"),
        (torch.zeros(3, 6), r"shape \(B, 3, H, W\) or \(3, H, W\), got \(3, 6\)"),
        (
            torch.zeros(2, 3, 6, 2),
            r"at least 3 pixels along axis -1, got x of shape \(2, 3, 6, 2\)",
        ),
        (torch.zeros(2, 3, 6, 6).double(), r"torch\.float32 on cpu, got torch\.float64"),
        (torch.zeros(2, 3, 6, 6).long(), r"torch\.float32 on cpu, got torch\.int64"),
    ],
)
def test_input_that_does_not_fit_is_refused(x, message):
    with pytest.raises(ConfigError, match=message):
        Conv2d(3, 4, 3)(x)


@pytest.mark.parametrize("shape", [(2, 3, 0, 6), (2, 3, 6, 0), (3, 0, 0)])
def test_images_without_pixels_are_refused_whatever_the_padding(shape):
    with pytest.raises(ConfigError, match=r"Conv2d takes images of at least one pixel, got x of"):
        Conv2d(3, 4, 3, padding=2)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        ("weight", torch.zeros(4, 300, 3, 3), r"weight of shape \(4, 3, 3, 3\), got \(4, 300"),
        ("weight", torch.zeros(4000, 3, 3, 3), r"weight of shape \(4, 3, 3, 3\), got \(4000"),
        ("weight", torch.zeros(4, 3, 5, 3), r"weight of shape \(4, 3, 3, 3\), got \(4, 3, 5"),
        ("weight", torch.zeros(4, 3, 3, 3).cfloat(), r"weight of real .* got torch\.complex64"),
        ("bias", torch.zeros(3), r"bias of shape \(4,\), got \(3,\)"),
        ("bias", torch.zeros(4).double(), r"torch\.float32 on cpu, got torch\.float64"),
        ("bias", torch.zeros(4, device="meta"), r"float32 on cpu, got torch\.float32 on meta"),
    ],
)
def test_replaced_parameter_that_does_not_fit_is_refused(name, other, message):
    module = Conv2d(3, 4, 3)
    setattr(module, name, nn.Parameter(other))
    with pytest.raises(ConfigError, match=message):
        module(torch.zeros(2, 3, 6, 6))


def test_input_on_another_device_is_refused():
    with pytest.raises(ConfigError, match=r"float32 on meta, got torch\.float32 on cpu"):
        Conv2d(3, 4, 3, device="meta")(torch.zeros(2, 3, 6, 6))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_parameters_that_are_no_real_numbers_are_refused(dtype):
    with pytest.raises(ConfigError, match=f"dtype of real floating-point numbers, got {dtype}"):
        Conv2d(3, 4, 3, dtype=dtype)


def test_parameter_computed_from_others_is_used():
    module = filled(Conv2d(2, 3, 3))
    plain = module(torch.ones(1, 2, 4, 4))
    nn.utils.parametrize.register_parametrization(module, "weight", nn.Identity())
    assert torch.equal(module(torch.ones(1, 2, 4, 4)), plain)


def no_memory(*arguments):
    """Stand for a C function that finds none."""
    return 1


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_lack_of_memory_is_an_error(method):
    module = convolution_native.Kernel(lambda name: no_memory)
    x, weight, y = normal(1, 1, 1, 2, 2), normal(1, 1, 1, 1, 1), normal(1, 1, 1, 2, 2)
    numbers = ((1, 1), (0, 0, 0, 0), (1, 1), 1)
    arguments = {
        "forward": (x, weight, None, y, *numbers),
        "backward": (y, x, weight, *numbers, True, True),
    }
    with pytest.raises(MemoryError, match="no memory for what a convolution"):
        getattr(module, method)(*arguments[method])


@needs_c
@pytest.mark.parametrize("name", ["_forward", "_grad_x", "_grad_weight"])
def test_lack_of_memory_is_found_in_c(name):
    """Sizes beyond every address: nothing is read or written."""
    huge = 2**50
    shapes = (1, 1, huge, 1, 1), (1, 1, huge, 1, 1), (1, 1, 1, 1, 1)
    sizes = convolution_native._sizes(*shapes, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    function = getattr(convolution_native.kernel_for(torch.zeros(1)), name)
    addresses = [64] * (len(function.argtypes) - 2)  # where nobody may write
    assert function(sizes, *addresses, 1) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, r"kernel_size must be one or two whole numbers >= 1, got 0"),
        ({"stride": (1, 1, 1)}, r"stride must be one or two whole numbers >= 1, got \(1, 1, 1\)"),
        ({"padding": -1}, r"padding must be one or two whole numbers >= 0, got -1"),
        ({"padding": "full"}, r'padding must be a number, two, "same" or "valid", got \'full\''),
        ({"padding": "same", "stride": 2}, r'padding="same" needs stride 1, got \(2, 2\)'),
        ({"groups": 3}, r"in_channels must be at least 1 and divide into 3 groups, got 4"),
        ({"groups": 0}, r"groups must be at least 1, got 0"),
        ({"padding_mode": "circular"}, r'padding_mode must be "zeros", got \'circular\''),
    ],
)
def test_option_out_of_range_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Conv2d(4, 6, **{"kernel_size": 3, **options})


def test_weights_begin_as_the_initializer_says_and_each_layer_elsewhere():
    first, second = Conv2d(4, 6, 3), Conv2d(4, 6, 3)
    assert not torch.equal(first.weight, second.weight)
    assert float(first.weight.detach().abs().max()) <= 1 / 6  # 1/sqrt(4 * 3 * 3)
    assert not first.bias.any()


def test_repr_shows_the_sizes():
    assert repr(Conv2d(1, 2, 3, padding="same")) == (
        "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(1, 1), "
        "groups=1, bias=True)"
    )


def test_sobel_filter_finds_edges_of_a_given_direction():
    """CNN-01: on a ramp of slope a along the rows, Sobel's filters give 8 a and 0."""
    layer = Conv2d(1, 2, 3, bias=False)
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    layer.weight.data = torch.stack([sobel, sobel.T]).unsqueeze(1)
    ramp = (0.5 * torch.arange(6.0)).expand(5, 6)
    maps = layer(ramp[None, None])[0]
    torch.testing.assert_close(maps[0], torch.full((3, 4), 4.0))
    torch.testing.assert_close(maps[1], torch.zeros(3, 4))


def test_sobel_maps_of_digits_are_bright_at_strokes_and_dark_on_ground():
    """CNN-01: no edge where all nine pixels are one; the strongest edge where they differ most."""
    x, _ = read_digits()
    images = x[:50].reshape(50, 1, 8, 8)
    layer = Conv2d(1, 2, 3, bias=False).requires_grad_(False)
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    layer.weight.data = torch.stack([sobel, sobel.T]).unsqueeze(1)
    strength = layer(images).square().sum(1).sqrt()
    windows = images[:, 0].unfold(1, 3, 1).unfold(2, 3, 1).flatten(3)
    spread = windows.amax(3) - windows.amin(3)
    assert (spread == 0).any()
    assert not strength[spread == 0].any()
    assert float(strength[spread >= 12].mean()) > 4 * float(strength[spread <= 4].mean())


@pytest.mark.gpu
def test_cuda_equals_the_cpu():
    ours, _ = pair_of(3, 5, {"kernel_size": 3, "padding": 1, "stride": 2})
    on_cpu = passed(ours, normal(4, 3, 9, 9))
    x = normal(4, 3, 9, 9).cuda().requires_grad_()
    y = ours.cuda()(x)
    slope = normal(*y.shape, seed=9).cuda()
    on_cuda = [y, *torch.autograd.grad(y, [x, *ours.parameters()], slope)]
    for left, right in zip(on_cuda, on_cpu, strict=True):
        torch.testing.assert_close(left.cpu(), right, rtol=1e-12, atol=1e-12)
