"""Initializers against torch's own, their formulas, and the facts of the notes (INI-01 .. 14)."""

import math

import pytest
import torch
from torch import nn

from optlab import init, seeding
from optlab.config import ConfigError
from optlab.init import fans, initialize
from optlab.models import MLP
from optlab.nn import PReLU
from optlab.registry import initializers


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=list(initializers))
def initializer(request):
    return initializers.create(request.param, {})


@pytest.mark.parametrize("shape", [(7, 5), (4, 3, 2, 6)], ids=["matrix", "kernel"])
def test_fills_in_place_and_returns_the_tensor(initializer, shape):
    weight = torch.full(shape, math.nan)
    assert initializer(weight, generator=stream()) is weight
    assert torch.isfinite(weight).all()


def test_draws_from_its_generator_only(initializer):
    before = torch.get_rng_state()
    first = initializer(torch.empty(6, 6), generator=stream())
    torch.manual_seed(99)
    after = torch.get_rng_state()
    assert torch.equal(first, initializer(torch.empty(6, 6), generator=stream()))
    assert torch.equal(torch.get_rng_state(), after)
    torch.set_rng_state(before)


def test_parameters_may_require_grad(initializer):
    weight = nn.Parameter(torch.empty(3, 4))
    initializer(weight, generator=stream())
    assert weight.requires_grad
    assert weight.is_leaf


@pytest.mark.parametrize("shape", [(40, 30), (8, 6, 3, 5)], ids=["matrix", "kernel"])
@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (init.zeros_, lambda w, generator: nn.init.zeros_(w)),
        (init.constant_, lambda w, generator: nn.init.constant_(w, 0.5)),
        (init.uniform_small_, lambda w, generator: nn.init.uniform_(w, -0.01, 0.01, generator)),
        (init.uniform_large_, lambda w, generator: nn.init.uniform_(w, -3, 3, generator)),
        (
            init.uniform_fan_in_,  # what nn.Linear calls for its weights
            lambda w, generator: nn.init.kaiming_uniform_(w, math.sqrt(5), generator=generator),
        ),
        (init.xavier_normal_, nn.init.xavier_normal_),
        (init.xavier_uniform_, nn.init.xavier_uniform_),
        (
            init.xavier_notes_,
            lambda w, generator: nn.init.kaiming_normal_(
                w, nonlinearity="linear", generator=generator
            ),
        ),
        (init.he_uniform_, nn.init.kaiming_uniform_),
        (init.he_normal_, nn.init.kaiming_normal_),
        (init.standard_normal_, nn.init.normal_),
    ],
)
def test_equals_torch_on_the_same_stream(ours, torchs, shape):
    expected = torchs(torch.empty(shape), generator=stream(3))
    drawn = ours(torch.empty(shape), generator=stream(3))
    # One rounding of the scale, whose square roots torch takes in another order.
    torch.testing.assert_close(drawn, expected, rtol=3e-7, atol=0)


@pytest.mark.parametrize(
    ("ours", "torchs", "shape"),
    [
        (init.identity_, nn.init.eye_, (5, 5)),
        (init.identity_, nn.init.eye_, (3, 5)),
        (init.identity_, nn.init.eye_, (5, 3)),
        (init.identity_, nn.init.dirac_, (3, 4, 5)),
        (init.identity_, nn.init.dirac_, (4, 3, 4, 3)),
    ],
)
def test_identity_is_a_gain_times_torchs_identity(ours, torchs, shape):
    expected = 2.5 * torchs(torch.empty(shape))
    assert torch.equal(ours(torch.empty(shape), gain=2.5), expected)
    strided = torch.empty(*reversed(shape)).permute(*reversed(range(len(shape))))
    assert torch.equal(ours(strided, gain=2.5), expected)


@pytest.mark.parametrize(
    ("ours", "deviation"),
    [
        (init.uniform_fan_in_, math.sqrt(1 / (3 * 300))),
        (init.xavier_normal_, math.sqrt(2 / 700)),
        (init.xavier_uniform_, math.sqrt(2 / 700)),
        (init.xavier_notes_, math.sqrt(1 / 300)),
        (init.he_normal_, math.sqrt(2 / 300)),
        (init.he_uniform_, math.sqrt(2 / 300)),
        (init.standard_normal_, 1.0),
    ],
)
def test_mean_and_deviation_are_the_formulas(ours, deviation):
    weight = ours(torch.empty(400, 300), generator=stream(1))
    # Five standard errors: 1/sqrt(2 n) = 0.2 % of a deviation, deviation/sqrt(n) of a mean.
    assert float(weight.std()) == pytest.approx(deviation, rel=0.0103)
    assert abs(float(weight.mean())) < 5 * deviation / math.sqrt(weight.numel())


@pytest.mark.parametrize(
    ("ours", "bound"),
    [
        (init.uniform_small_, 0.01),
        (init.uniform_large_, 3.0),
        (init.uniform_fan_in_, 1 / math.sqrt(300)),
        (init.xavier_uniform_, math.sqrt(6 / 700)),
        (init.he_uniform_, math.sqrt(6 / 300)),
    ],
)
def test_uniform_fills_its_interval(ours, bound):
    weight = ours(torch.empty(400, 300), generator=stream(2))
    assert 0.999 * bound < float(weight.abs().max()) <= bound * (1 + 1e-6)


def test_three_xaviers_differ_unless_the_layer_is_square():
    wide, square = torch.empty(64, 16), torch.empty(64, 64)
    notes, normal = init.xavier_notes_, init.xavier_normal_
    assert not torch.allclose(
        notes(wide.clone(), generator=stream()), normal(wide, generator=stream())
    )
    torch.testing.assert_close(
        notes(square.clone(), generator=stream()), normal(square, generator=stream())
    )


def test_fans_count_the_kernel():
    assert fans(torch.empty(7, 5)) == (5, 7)
    assert fans(torch.empty(7, 5, 3, 2)) == (30, 42)


def test_fans_of_a_vector_are_refused():
    with pytest.raises(ConfigError, match=r"at least two axes .* \(4,\)"):
        fans(torch.empty(4))


def build(hidden=(6, 6), seed=0):
    module = MLP(5, hidden, 3, activation=PReLU)
    initialize(module, init.he_normal_, seed)
    return module.state_dict()


def test_same_seed_same_weights_other_seed_others():
    first, again, other = build(), build(), build(seed=1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    name = "hidden.0.linear.weight"
    assert not torch.equal(first[name], other[name])


def test_adding_a_layer_changes_no_other_layer():
    small, large = build(hidden=(6,)), build(hidden=(6, 6, 6))
    assert set(small) < set(large)
    assert all(torch.equal(small[name], large[name]) for name in small)


def test_layers_of_one_shape_differ():
    state = build(hidden=(6, 6, 6))
    assert not torch.equal(state["hidden.1.linear.weight"], state["hidden.2.linear.weight"])


def test_biases_become_zero_and_other_vectors_stay():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), PReLU(0.3))
    nn.init.constant_(module[1].bias, 7.0)
    nn.init.constant_(module[1].weight, 7.0)
    initialize(module, init.constant_, seed=0)
    assert (module[0].weight == 0.5).all()
    assert (module[0].bias == 0).all()
    assert (module[1].bias == 0).all()
    assert (module[1].weight == 7).all()
    assert module[2].weight.item() == pytest.approx(0.3)


def test_double_precision_starts_from_the_same_float32_draw():
    single, double = nn.Linear(5, 4), nn.Linear(5, 4, dtype=torch.float64)
    initialize(single, init.xavier_normal_, seed=4)
    initialize(double, init.xavier_normal_, seed=4)
    assert torch.equal(single.weight.double(), double.weight)


def test_weight_comes_from_the_documented_stream():
    module = nn.ModuleDict({"a": nn.Linear(5, 4)})
    initialize(module, init.he_normal_, seed=11)
    drawn = init.he_normal_(torch.empty(4, 5), generator=seeding.generator(11, "init", "a.weight"))
    assert torch.equal(module["a"].weight, drawn)


@pytest.mark.parametrize(
    ("name", "options"),
    [("uniform_small", {"bound": 0.0}), ("constant", {"value": math.nan})],
)
def test_option_out_of_range_is_refused(name, options):
    with pytest.raises(ConfigError, match=f"init.{next(iter(options))}"):
        initializers.create(name, options)


def test_orthogonal_matrices_have_no_preferred_sign():
    """The factors of a decomposition do; 100 fair coins show fewer than 20 heads once in 1e9."""
    signs = [init.orthogonal_(torch.empty(1, 1), generator=stream(i)).item() for i in range(100)]
    assert {abs(sign) for sign in signs} == {1.0}
    assert 20 < signs.count(1.0) < 80


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (4, 2, 3, 3)])
def test_orthogonal_rows_or_columns_are_orthonormal_times_the_gain(shape):
    weight = init.orthogonal_(torch.empty(shape), gain=2.0, generator=stream()).flatten(1)
    product = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    # Rounding to float32 of products of two.
    torch.testing.assert_close(product, 4 * torch.eye(len(product)), rtol=0, atol=1e-5)


def test_initialize_says_whether_the_initializer_was_used():
    class OfItsOwn(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(3, 3))

        def initialize_(self, fill):
            fill("weight", self.weight, init.zeros_)

    assert initialize(PReLU(), init.he_normal_, seed=0) is False
    assert initialize(OfItsOwn(), init.he_normal_, seed=0) is False
    assert initialize(nn.Sequential(OfItsOwn(), nn.Linear(2, 2)), init.he_normal_, seed=0) is True
