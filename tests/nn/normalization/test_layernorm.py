"""Layer normalization of rows and of the pixels of images, against torch and float64."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.init import he_normal_, initialize
from optlab.nn.normalization import rows
from optlab.nn.normalization.layernorm import LayerNorm, LayerNorm2d


def values(*shape, seed=0, dtype=torch.float64):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=stream, dtype=torch.float64).mul(3).add(2).to(dtype)


@pytest.fixture(params=["c", "plain"])
def kernels(request, monkeypatch):
    """Compute with C where there is a compiler, then without."""
    if request.param == "plain":
        monkeypatch.setattr(rows, "serves", lambda *_: False)
        monkeypatch.setattr(rows, "kernels_of", lambda x: None)


def pair(shape, **options):
    """Return torch's and ours, with the same random scale and shift, in float64."""
    torchs = nn.LayerNorm(shape, **options).double()
    for number, parameter in enumerate(torchs.parameters()):
        parameter.data = values(*parameter.shape, seed=number)
    ours = LayerNorm(shape, **options).double()
    ours.load_state_dict(torchs.state_dict())
    return ours, torchs


def results(module, x, grad):
    x = x.detach().clone().requires_grad_()
    y = module(x)
    y.backward(grad)
    return [y, x.grad, *(p.grad for p in module.parameters())]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"elementwise_affine": False}, {"eps": 0.1}], ids=str
)
@pytest.mark.parametrize(
    ("shape", "normalized"),
    [
        ((7, 5), 5),
        ((300, 24), 24),
        ((3, 4, 100), 100),
        ((2, 3, 4, 5), (4, 5)),
        ((1, 33), 33),
        ((6,), 6),
        ((4, 1), 1),
    ],
    ids=str,
)
def test_equals_torch(shape, normalized, options):
    ours, torchs = pair(normalized, **options)
    x, grad = values(*shape), values(*shape, seed=5)
    for own, other in zip(results(ours, x, grad), results(torchs, x, grad), strict=True):
        # Sums of up to 300 float64 numbers in another order.
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-11)


def test_state_dict_of_torch_can_be_loaded_and_given_back():
    ours, torchs = pair((4, 5))
    nn.LayerNorm((4, 5)).load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("columns", [3, 20])
def test_first_and_second_derivatives_are_those_of_finite_differences(columns):
    module = LayerNorm(columns, eps=0.1).double()
    inputs = (values(3, columns), values(columns, seed=1), values(columns, seed=2))
    inputs = tuple(tensor.requires_grad_() for tensor in inputs)

    def call(x, weight, bias):
        return functional_call(module, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("columns", [10, 64, 1000])
def test_single_precision_is_that_of_float64_far_from_zero(mean, columns):
    """Of the same rounded input; the mean is kept in two parts."""
    x = (values(50, columns) + mean).float()
    ours, exact = LayerNorm(columns), nn.LayerNorm(columns).double()
    grad = values(50, columns, seed=3, dtype=torch.float32)
    got, wanted = results(ours, x, grad), results(exact, x.double(), grad.double())
    for own, other in zip(got, wanted, strict=True):
        scale = float(other.detach().abs().max())
        torch.testing.assert_close(own.double(), other, rtol=0, atol=3e-6 * scale)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype):
    x = values(20, 64).to(dtype)
    y = LayerNorm(64)(x)
    half = torch.finfo(dtype).eps / 2
    exact = nn.LayerNorm(64).double()(x.double())
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), exact, rtol=half * 1.01, atol=2e-6)


@pytest.mark.usefixtures("kernels")
def test_nan_stays_in_its_row():
    x = values(5, 40, dtype=torch.float32)
    clean = LayerNorm(40)(x)
    x[2, 7] = float("nan")
    y = LayerNorm(40)(x)
    assert y[2].isnan().all()
    kept = torch.tensor([0, 1, 3, 4])
    torch.testing.assert_close(y[kept], clean[kept], rtol=0, atol=0)


@pytest.mark.usefixtures("kernels")
def test_constant_row_gives_the_bias():
    module, x = LayerNorm(4), torch.full((2, 4), 3.0).requires_grad_()
    nn.init.constant_(module.bias, 0.7)
    y = module(x)
    y.square().sum().backward()
    assert torch.equal(y, torch.full((2, 4), 0.7))
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_image_is_normalized_over_the_channels_of_every_pixel(order):
    x = values(2, 6, 5, 4, dtype=torch.float32).contiguous(memory_format=order)
    y = LayerNorm2d(6)(x)
    torch.testing.assert_close(y[1, :, 3, 2], LayerNorm(6)(x[1, :, 3, 2]))
    assert y.is_contiguous(memory_format=order)


@pytest.mark.parametrize("columns", [7, 40])
def test_a_run_of_a_stack_equals_the_run_alone_in_every_bit(columns):
    runs = [LayerNorm(columns) for _ in range(4)]
    for run, module in enumerate(runs):
        module.weight.data = values(columns, seed=run, dtype=torch.float32)
    parameters, _ = stack_module_state(runs)
    x = values(4, 9, columns, dtype=torch.float32)

    def loss(p, rows):
        return functional_call(runs[0], p, (rows,)).sin().sum()

    stacked = vmap(grad(loss, argnums=(0, 1)))(parameters, x)
    for number in range(4):
        member = {name: value[number : number + 1] for name, value in parameters.items()}
        alone = vmap(grad(loss, argnums=(0, 1)))(member, x[number : number + 1])
        for name in member:
            assert torch.equal(stacked[0][name][number], alone[0][name][0])
        assert torch.equal(stacked[1][number], alone[1][0])
        rows = x[number].clone().requires_grad_()
        runs[number](rows).sin().sum().backward()
        torch.testing.assert_close(stacked[1][number], rows.grad)


def test_no_rows():
    x = torch.zeros(0, 4).requires_grad_()
    module = LayerNorm(4)
    module(x).sum().backward()
    assert x.grad.shape == (0, 4)
    assert torch.equal(module.weight.grad, torch.zeros(4))


def test_initializer_of_weights_leaves_the_scale_alone():
    """A scale with two axes is no weight matrix."""
    module = nn.Sequential(LayerNorm((3, 4)))
    initialize(module, he_normal_, seed=0)
    assert torch.equal(module[0].weight, torch.ones(3, 4))


@pytest.mark.parametrize(("module", "wanted"), [(LayerNorm((3, 4)), "3, 4"), (LayerNorm(4), "4")])
@pytest.mark.parametrize("shape", [(), (3,), (5, 3)], ids=str)
def test_input_of_another_shape_is_refused(module, wanted, shape):
    with pytest.raises(ConfigError, match=rf"shape \(\.\.\., {wanted}\), got"):
        module(torch.zeros(shape))


def test_image_of_another_shape_is_refused():
    with pytest.raises(ConfigError, match=r"\(B, 4, H, W\), got \(2, 3, 4, 4\)"):
        LayerNorm2d(4)(torch.zeros(2, 3, 4, 4))


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32])
def test_dtype_that_does_not_fit_is_refused(dtype):
    with pytest.raises(ConfigError, match="layer normalization takes"):
        LayerNorm(4)(torch.zeros(2, 4, dtype=dtype))


@pytest.mark.parametrize("arguments", [{"normalized_shape": ()}, {"normalized_shape": (3, 0)}])
def test_shape_without_features_is_refused(arguments):
    with pytest.raises(ConfigError, match="normalized_shape"):
        LayerNorm(**arguments)


def test_scale_of_another_size_is_refused():
    module = LayerNorm(4)
    module.weight = nn.Parameter(torch.ones(3))
    with pytest.raises(ConfigError, match=r"weight must have shape \(4,\), .* got \(3,\)"):
        module(torch.zeros(2, 4))


def test_eps_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"\(norm\.eps\)"):
        LayerNorm(4, eps=0.0)


def test_repr_shows_the_options():
    assert repr(LayerNorm(4)) == "LayerNorm((4,), eps=1e-05)"
