"""Dropout: inverted scaling, masks by (run, layer, update), stacks (REG-07, REG-09, E28)."""

import math
import shutil

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.compiler import NoCompiler
from optlab.config import ConfigError
from optlab.nn import Dropout, dropout_operation, seed_dropout
from optlab.nn.dropout import COMMON_RATES
from optlab.nn.native import library
from optlab.seeding import stream_key, uniform_at


def layer(rate=0.3, seed=0):
    module = Dropout(rate)
    seed_dropout(module, seed)
    return module


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_keeps_the_right_share_and_the_mean(rate):
    """REG-07; five standard errors of a share."""
    num = 200_000
    out = layer(rate)(torch.ones(num))
    bound = 5 * math.sqrt(rate * (1 - rate) / num)
    assert float((out == 0).float().mean()) == pytest.approx(rate, abs=bound)
    assert float(out.mean()) == pytest.approx(1.0, abs=bound / (1 - rate))
    torch.testing.assert_close(out.unique(), torch.tensor([0.0, 1 / (1 - rate)]))


def test_rate_is_the_drop_probability_of_torch_and_not_the_notes_keep_probability():
    """E28."""
    x = torch.ones(100_000)
    torch.manual_seed(0)
    dropped = float((nn.Dropout(0.2)(x) == 0).float().mean())
    assert float((layer(0.2)(x) == 0).float().mean()) == pytest.approx(dropped, abs=0.01)


def test_evaluation_is_the_identity_and_counts_nothing():
    module, x = layer().eval(), torch.ones(4)
    assert module(x) is x
    assert int(module.count) == 0


def test_rate_zero_is_the_identity():
    x = torch.ones(4)
    assert Dropout(0.0)(x) is x


def test_every_update_has_its_own_mask():
    module, x = layer(0.5), torch.ones(64)
    assert not torch.equal(module(x), module(x))
    assert int(module.count) == 2


def test_mask_depends_on_seed_and_layer_name():
    x = torch.ones(64)
    net = nn.ModuleDict({"a": Dropout(0.5), "b": Dropout(0.5)})
    seed_dropout(net, 3)
    assert int(net["a"].key) == stream_key(3, "dropout", "a")
    first = net["a"](x)
    assert not torch.equal(first, net["b"](x))
    seed_dropout(net, 4)
    assert not torch.equal(first, net["a"](x))
    seed_dropout(net, 3)
    assert torch.equal(first, net["a"](x))


def test_global_generator_is_left_alone():
    made = layer(0.5)
    before = torch.get_rng_state()
    made(torch.ones(16))
    assert torch.equal(torch.get_rng_state(), before)


def test_buffers_go_on_with_the_next_mask():
    module, x = layer(0.5), torch.ones(64)
    module(x)
    resumed = Dropout(0.5)
    for mine, theirs in zip(resumed.buffers(), module.buffers(), strict=True):
        mine.copy_(theirs)
    assert torch.equal(resumed(x), module(x))


def test_the_state_dict_is_as_empty_as_torchs():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    ours = torch.nn.Sequential(torch.nn.Linear(2, 2), Dropout(0.5))
    ours.load_state_dict(network.state_dict())
    network.load_state_dict(ours.state_dict())


def test_new_layers_drop_apart_and_as_torchs_seed_says():
    x = torch.ones(64)

    def masks():
        torch.manual_seed(3)
        return [Dropout(0.5)(x) for _ in range(2)]

    first, second = masks()
    assert not torch.equal(first, second)
    assert all(map(torch.equal, (first, second), masks()))


def test_gradient_passes_through_survivors_only_and_scaled():
    x = torch.ones(64, dtype=torch.float64).requires_grad_()
    out = layer(0.25)(x)
    out.sum().backward()
    assert out.dtype == torch.float64
    torch.testing.assert_close(x.grad, out.detach())


@pytest.mark.parametrize("runs", [1, 3])
def test_stack_drops_what_each_run_drops_alone(runs):
    members = [layer(0.5, seed) for seed in range(runs)]
    parameters, buffers = stack_module_state(members)
    x = torch.ones(runs, 8, 5)

    def call(b, rows):
        return functional_call(members[0], (parameters, b), (rows,))

    for _ in range(3):
        stacked = vmap(call)(buffers, x)
        for number, member in enumerate(members):
            assert torch.equal(stacked[number], member(x[number]))
    assert buffers["count"].tolist() == [3] * runs


@pytest.fixture(params=["c", "plain"])
def kernels(request, monkeypatch):
    """Compute with C where there is a compiler, then without."""
    if request.param == "plain":
        monkeypatch.setattr(dropout_operation, "_kernel", lambda dtype: None)


def random(*shape, seed=0, dtype=torch.float32):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=stream, dtype=torch.float64).to(dtype)


def factors(module, x):
    """Return 0 or 1 / (1 - rate), as the stream's definition has them for the next forward."""
    drawn = uniform_at(module.key, module.count, tuple(x.shape), x.device)
    return (drawn >= module.rate).to(x.dtype) * (1 / (1 - module.rate))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_c_is_compiled_where_there_is_a_compiler():
    assert not isinstance(library("dropout"), NoCompiler)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rate", [1e-6, 0.1, 1 / 3, 0.5, 0.9, 1 - 1e-6, 1 - 1e-12])
@pytest.mark.parametrize("key", [0, 1, 2**32 + 5, 2**63 - 1])
def test_every_kernel_draws_the_same_mask_in_every_bit(dtype, rate, key):
    module, x = Dropout(rate), random(70, 301, dtype=dtype).requires_grad_()
    module.key.fill_(key)
    module.count.fill_(key // 7)
    wanted, pulled = factors(module, x), random(70, 301, seed=1, dtype=dtype)
    y = module(x)
    y.backward(pulled)
    assert torch.equal(y, x * wanted)
    assert torch.equal(x.grad, pulled * wanted)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype):
    module, x = layer(0.3), random(2000, dtype=dtype)
    wanted = (x.float() * factors(module, x.float())).to(dtype)
    assert torch.equal(module(x), wanted)


@pytest.mark.usefixtures("kernels")
def test_mask_follows_positions_and_not_memory():
    x = random(30, 20)
    assert torch.equal(layer()(x.t().contiguous().t()), layer()(x))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3, 4)], ids=str)
def test_every_shape(shape):
    assert layer()(random(*shape)).shape == shape


@pytest.mark.usefixtures("kernels")
def test_first_and_second_derivatives_are_those_of_finite_differences():
    x = random(4, 5, dtype=torch.float64).requires_grad_()
    call = lambda x: layer()(x).pow(3)  # noqa: E731
    assert torch.autograd.gradcheck(call, x)
    assert torch.autograd.gradgradcheck(call, x)


@pytest.mark.usefixtures("kernels")
def test_gradients_in_a_stack_and_their_gradients():
    members, x = [layer(0.5, seed) for seed in range(3)], random(3, 40, dtype=torch.float64)
    parameters, buffers = stack_module_state(members)

    def slopes(rows, b, times):
        def total(rows):
            own = {name: value.clone() for name, value in b.items()}
            return functional_call(members[0], (parameters, own), (rows,)).pow(3).sum()

        first = grad(total)
        return first(rows) if times == 1 else grad(lambda r: first(r).sum())(rows)

    masks = torch.stack([factors(member, x[0]) for member in members])
    once, twice = (vmap(lambda r, b, n=n: slopes(r, b, n))(x, buffers) for n in (1, 2))
    torch.testing.assert_close(once, 3 * x.square() * masks**3)
    torch.testing.assert_close(twice, 6 * x * masks**3)


def test_compiled_mask_is_the_same_in_every_bit():
    modules, x = [layer(0.4, seed) for seed in range(2)], random(2, 65)
    parameters, buffers = stack_module_state(modules)

    def step(b, rows):
        own = {name: value.clone() for name, value in b.items()}
        return functional_call(modules[0], (parameters, own), (rows,)), own

    compiled = torch.compile(vmap(step), fullgraph=True, backend="aot_eager")
    for _ in range(2):
        y, buffers = compiled(buffers, x)
        assert torch.equal(y, torch.stack([m(rows) for m, rows in zip(modules, x, strict=True)]))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_other_than_real_numbers_are_refused(dtype):
    with pytest.raises(ConfigError, match="Dropout takes floating-point numbers, got"):
        layer()(torch.ones(3).to(dtype))


def test_presets_are_the_middle_of_the_notes_bands():
    """REG-09."""
    assert {kind: Dropout(kind).rate for kind in COMMON_RATES} == pytest.approx(
        {"ann": 0.3, "cnn": 0.45, "rnn": 0.25}
    )


@pytest.mark.parametrize("rate", [1.0, -0.1, "mlp", True])
def test_rate_out_of_range_is_refused(rate):
    with pytest.raises(ConfigError, match=r"rate must be .*\(dropout.rate\)"):
        Dropout(rate)


def test_repr_shows_the_rate():
    assert repr(Dropout(0.5)) == "Dropout(rate=0.5)"
