"""The multilayer perceptron: sizes, names, order of parts, stacks (MLP-01 .. 03, NRM-05)."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError, bind
from optlab.init import he_normal_, initialize
from optlab.models import MLP, ModelContext
from optlab.models.mlp import build_mlp
from optlab.nn import BatchNorm1d, Dropout, Identity, PReLU, Sigmoid, Step, Tanh, seed_dropout
from optlab.nn.losses import SparseCCE
from optlab.registry import norms


def inputs(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def full_network(seed=0):
    module = MLP(5, (7, 6), 3, activation=PReLU, norm=BatchNorm1d, dropout=0.4).double()
    initialize(module, he_normal_, seed)
    seed_dropout(module, seed)
    return module


def test_four_three_two_one_has_26_parameters():
    """MLP-02: (12 + 3) + (6 + 2) + (2 + 1)."""
    assert sum(p.numel() for p in MLP(4, (3, 2), 1).parameters()) == 26


def test_layer_is_the_activation_of_an_affine_map():
    """MLP-03: sigma(w^T x + b), written out."""
    module = MLP(3, (2,), 1, activation=Sigmoid).double()
    layer, x = module.hidden[0].linear, inputs(4, 3)
    hidden = 1 / (1 + torch.exp(-(x @ layer.weight.t() + layer.bias)))
    expected = hidden @ module.output.weight.t() + module.output.bias
    torch.testing.assert_close(module(x), expected)


def test_parameters_are_named_by_layer_and_part():
    names = list(dict(full_network().named_parameters()))
    assert names == [
        "hidden.0.linear.weight",
        "hidden.0.norm.weight",
        "hidden.0.norm.bias",
        "hidden.0.activation.weight",
        "hidden.1.linear.weight",
        "hidden.1.norm.weight",
        "hidden.1.norm.bias",
        "hidden.1.activation.weight",
        "output.weight",
        "output.bias",
    ]


@pytest.mark.parametrize(
    ("position", "order"),
    [
        ("pre", ["linear", "norm", "activation", "dropout"]),
        ("post", ["linear", "activation", "norm", "dropout"]),
    ],
)
def test_norm_stands_before_or_after_the_activation(position, order):
    """NRM-05 and E9."""
    module = MLP(5, (7,), 3, norm=BatchNorm1d, norm_position=position, dropout=0.1)
    assert [name for name, _ in module.hidden[0].named_children()] == order


@pytest.mark.parametrize(
    ("norm", "position", "has_bias"),
    [
        (BatchNorm1d, "pre", False),
        (BatchNorm1d, "post", True),
        (norms.create("none", {}), "pre", True),
        (None, "pre", True),
    ],
)
def test_only_a_batch_norm_right_behind_replaces_the_bias(norm, position, has_bias):
    module = MLP(5, (7,), 3, norm=norm, norm_position=position)
    assert (module.hidden[0].linear.bias is not None) is has_bias


def test_parts_that_do_nothing_are_left_out():
    assert [name for name, _ in MLP(5, (7,), 3).hidden[0].named_children()] == [
        "linear",
        "activation",
    ]


def test_inputs_are_laid_flat():
    module = MLP(12, (4,), 3).double()
    x = inputs(5, 3, 2, 2)
    torch.testing.assert_close(module(x), module(x.reshape(5, 12)))


def test_no_hidden_layer_leaves_a_linear_map():
    module = MLP(5, (), 3).double()
    assert list(module.state_dict()) == ["output.weight", "output.bias"]
    torch.testing.assert_close(module(inputs(4, 5)), module.output(inputs(4, 5)))


def test_state_dict_loads_into_a_torch_network():
    module = full_network().eval()
    twin = nn.Sequential(
        nn.Linear(5, 7, bias=False),
        nn.BatchNorm1d(7),
        nn.PReLU(),
        nn.Linear(7, 6, bias=False),
        nn.BatchNorm1d(6),
        nn.PReLU(),
        nn.Linear(6, 3),
    )
    values = [v for k, v in module.state_dict().items() if "dropout" not in k]
    twin.load_state_dict(dict(zip(twin.state_dict(), values, strict=True)))
    torch.testing.assert_close(module(inputs(8, 5)), twin.double().eval()(inputs(8, 5)))


def train(gradient, parameters, buffers, x, y, steps=4):
    """Run gradient descent; ``buffers`` are written in place, as in the engine."""
    for _ in range(steps):
        slopes = gradient(parameters, buffers, x, y)
        parameters = {name: p - 0.3 * slopes[name] for name, p in parameters.items()}
    return parameters


def test_stack_of_three_trains_as_each_run_alone():
    """Batch normalization, dropout and trained slopes together; parameters and buffers."""
    runs = [full_network(seed) for seed in range(3)]
    x = torch.stack([inputs(16, 5, seed=seed) for seed in range(3)])
    y = torch.randint(3, (3, 16), generator=torch.Generator().manual_seed(0))

    def loss(parameters, buffers, rows, labels):
        return SparseCCE()(functional_call(runs[0], (parameters, buffers), (rows,)), labels)

    parameters, buffers = stack_module_state(runs)
    trained = train(vmap(grad(loss)), parameters, buffers, x, y)
    for number, run in enumerate(runs):
        own = {name: p.detach() for name, p in run.named_parameters()}
        kept = {name: b.clone() for name, b in run.named_buffers()}
        alone = train(grad(loss), own, kept, x[number], y[number])
        for name, value in alone.items():
            # Sums of a batched matrix product may be ordered otherwise: a few roundings.
            torch.testing.assert_close(trained[name][number], value, rtol=1e-12, atol=1e-13)
        for name, value in kept.items():
            torch.testing.assert_close(buffers[name][number], value, rtol=1e-12, atol=1e-13)
    assert buffers["hidden.0.dropout.count"].tolist() == [4, 4, 4]


def test_runs_of_a_stack_drop_different_units():
    runs = [full_network(seed) for seed in range(2)]
    masks = [run.hidden[0].dropout(torch.ones(64)) for run in runs]
    assert not torch.equal(*masks)


@pytest.mark.gpu
def test_cuda_starts_drops_and_answers_as_the_cpu():
    on_cpu, on_cuda = full_network(), full_network().cuda()
    for _ in range(2):
        # Sums on the device are ordered otherwise: a few roundings.
        torch.testing.assert_close(
            on_cuda(inputs(16, 5).cuda()).cpu(), on_cpu(inputs(16, 5)), rtol=1e-12, atol=1e-12
        )


def test_hand_set_step_network_solves_xor():
    """PER-09: OR and NAND into AND, where one perceptron gets three of four at most."""
    module = MLP(2, (2,), 1, activation=Step)
    module.hidden[0].linear.weight.data = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    module.hidden[0].linear.bias.data = torch.tensor([-0.5, 1.5])
    module.output.weight.data = torch.tensor([[1.0, 1.0]])
    module.output.bias.data = torch.tensor([-1.5])
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert Step()(module(corners)).squeeze(-1).tolist() == [0.0, 1.0, 1.0, 0.0]


def test_builder_takes_shapes_and_parts_from_its_context():
    context = ModelContext((2, 3), 4, Tanh, norms.create("batchnorm", {"eps": 0.5}))
    options = {"hidden": [8, 9], "norm_position": "post", "dropout": "ann"}
    module = build_mlp(context, **bind(build_mlp, options, "model"))
    assert module(torch.zeros(5, 2, 3)).shape == (5, 4)
    first = module.hidden[0]
    assert [type(part).__name__ for part in first] == ["Linear", "Tanh", "BatchNorm1d", "Dropout"]
    assert first.norm.eps == 0.5
    assert first.dropout.rate == pytest.approx(0.3)
    assert module.hidden[1].linear.weight.shape == (9, 8)


def test_activations_of_two_layers_are_two_modules():
    module = MLP(5, (4, 4), 3, activation=PReLU)
    assert module.hidden[0].activation is not module.hidden[1].activation


def test_norm_none_adds_nothing_to_the_state():
    with_none = MLP(5, (4,), 3, activation=Identity, norm=norms.create("none", {}))
    assert list(with_none.state_dict()) == list(MLP(5, (4,), 3).state_dict())


@pytest.mark.parametrize(
    "options", [{"hidden": [0]}, {"hidden": [8.5]}, {"dropout": 1.0}, {"norm_position": "mid"}]
)
def test_option_out_of_range_is_refused(options):
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(options))}"):
        bind(build_mlp, options, "model")


def test_rate_is_checked_without_a_configuration_too():
    with pytest.raises(ConfigError, match=r"dropout\.rate"):
        MLP(5, (4,), 3, dropout=1.5)
    assert isinstance(MLP(5, (4,), 3, dropout=0.5).hidden[0].dropout, Dropout)


@pytest.mark.parametrize(
    ("part", "module"), [("activation", PReLU()), ("norm", BatchNorm1d(4))], ids=lambda x: str(x)
)
def test_a_module_in_the_place_of_what_makes_one_is_refused(part, module):
    name = type(module).__name__
    with pytest.raises(ConfigError, match=rf"pass {part}={name} without parentheses"):
        MLP(5, (4, 4), 3, **{part: module})
