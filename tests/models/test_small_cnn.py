"""The small convolutional network: shapes, names, order of parts, learning (CNN-02 .. 04)."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError, bind
from optlab.init import he_normal_, initialize
from optlab.models import ModelContext
from optlab.models.small_cnn import SmallCNN, build_small_cnn
from optlab.nn import PReLU, ReLU, Softmax, Tanh, seed_dropout
from optlab.nn.images.convolution import Conv2d
from optlab.nn.losses import SparseCCE
from optlab.nn.normalization.batchnorm import BatchNorm1d, BatchNorm2d
from optlab.tasks.digits import read_digits


def batchnorm(features, axes=0):
    return (BatchNorm2d if axes == 2 else BatchNorm1d)(features)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def full_network(seed=0):
    module = SmallCNN(
        *((2, 8, 8), 3), channels=(3, 4), hidden=(5,), activation=PReLU, norm=batchnorm, dropout=0.4
    ).double()
    initialize(module, he_normal_, seed)
    seed_dropout(module, seed)
    return module


def twin_in_torch(module):
    """Return the default network made of torch's layers, with the same weights."""
    twin = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 2 * 2, 64), nn.ReLU(), nn.Linear(64, 10)),
    ).double()
    values = list(module.state_dict().values())
    twin.load_state_dict(dict(zip(twin.state_dict(), values, strict=True)))
    return twin


def test_equals_a_network_of_torchs_layers():
    """CNN-02: output and all gradients, in float64."""
    module = SmallCNN((1, 8, 8), 10).double()
    initialize(module, he_normal_, 0)
    twin, x = twin_in_torch(module), normal(5, 1, 8, 8)
    for network in (module, twin):
        network(x).sin().sum().backward()
    torch.testing.assert_close(module(x), twin(x), rtol=1e-12, atol=1e-12)
    for mine, its in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, its.grad, rtol=1e-11, atol=1e-11)


def test_learns_a_few_digits_in_seconds():
    """CNN-02 and CNN-04: full-batch gradient descent gets all of 100 training digits right."""
    x, labels = (part[:100] for part in read_digits())
    module = SmallCNN((1, 8, 8), 10)
    initialize(module, he_normal_, 0)
    for _ in range(60):
        module.zero_grad()
        SparseCCE()(module(x / 16), labels).backward()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter -= 0.3 * parameter.grad
    assert (module(x / 16).argmax(1) == labels).float().mean() == 1.0


def multiplications(module, x):
    """Count the products in all convolutions and dense layers, per image."""
    counts = []
    for layer in module.modules():
        if isinstance(layer, Conv2d):
            layer.register_forward_hook(
                lambda layer, _, y: counts.append(y[0].numel() * layer.weight[0].numel())
            )
        elif hasattr(layer, "in_features"):
            counts.append(layer.weight.numel())
    module(x)
    return sum(counts)


def test_pooling_saves_three_quarters_of_the_next_convolution():
    """CNN-03: 8x8 to 4x4 to 2x2; the second convolution works on a quarter of the pixels."""
    x = torch.zeros(1, 1, 8, 8)
    first, second, hidden, output = 64 * 9 * 16, 16 * 16 * 9 * 32, 128 * 64, 64 * 10
    pooled = multiplications(SmallCNN((1, 8, 8), 10), x)
    whole = multiplications(SmallCNN((1, 8, 8), 10, pool="none"), x)
    assert pooled == first + second + hidden + output
    assert whole == first + 4 * second + 16 * hidden + output


@pytest.mark.parametrize(("pool", "size"), [("max", 2), ("avg", 2), ("none", 8)])
def test_pooling_halves_both_sides_once_per_convolution(pool, size):
    """CNN-03."""
    module = SmallCNN((1, 8, 8), 10, pool=pool)
    assert module.features(torch.zeros(3, 1, 8, 8)).shape == (3, 32, size, size)


@pytest.mark.parametrize("shape", [(64,), (8, 8), (1, 8, 8)])
def test_inputs_may_be_flat_or_without_channels(shape):
    module = build_small_cnn(ModelContext(shape, 10, ReLU))
    assert module.image == (1, 8, 8)
    x = normal(3, *shape).float()
    torch.testing.assert_close(module(x), module(x.reshape(3, 1, 8, 8)))


def test_parameters_are_named_by_layer_and_part():
    names = list(dict(full_network().named_parameters()))
    parts = ("conv.weight", "norm.weight", "norm.bias", "activation.weight")
    assert names == [
        *(f"features.{number}.{part}" for number in range(2) for part in parts),
        "dense.hidden.0.linear.weight",
        "dense.hidden.0.norm.weight",
        "dense.hidden.0.norm.bias",
        "dense.hidden.0.activation.weight",
        "dense.output.weight",
        "dense.output.bias",
    ]


@pytest.mark.parametrize(
    ("position", "order"),
    [
        ("pre", ["conv", "norm", "activation", "pool"]),
        ("post", ["conv", "activation", "norm", "pool"]),
    ],
)
def test_norm_stands_before_or_after_the_activation(position, order):
    """NRM-05; a bias right before batch normalization would do nothing."""
    module = SmallCNN((1, 8, 8), 3, norm=batchnorm, norm_position=position)
    assert [name for name, _ in module.features[0].named_children()] == order
    assert (module.features[0].conv.bias is None) is (position == "pre")
    assert isinstance(module.features[0].norm, BatchNorm2d)
    assert isinstance(module.dense.hidden[0].norm, BatchNorm1d)


def train(gradient, parameters, buffers, x, y, steps=3):
    """Run gradient descent; ``buffers`` are written in place, as in the engine."""
    for _ in range(steps):
        slopes = gradient(parameters, buffers, x, y)
        parameters = {name: p - 0.3 * slopes[name] for name, p in parameters.items()}
    return parameters


def test_stack_of_three_trains_as_each_run_alone():
    """Convolution, pooling, batch normalization, dropout and slopes; parameters and buffers."""
    runs = [full_network(seed) for seed in range(3)]
    x = torch.stack([normal(6, 2, 8, 8, seed=seed) for seed in range(3)])
    y = torch.randint(3, (3, 6), generator=torch.Generator().manual_seed(0))

    def loss(parameters, buffers, rows, labels):
        return SparseCCE()(functional_call(runs[0], (parameters, buffers), (rows,)), labels)

    parameters, buffers = stack_module_state(runs)
    trained = train(vmap(grad(loss)), parameters, buffers, x, y)
    for number, run in enumerate(runs):
        own = {name: p.detach() for name, p in run.named_parameters()}
        kept = {name: b.clone() for name, b in run.named_buffers()}
        alone = train(grad(loss), own, kept, x[number], y[number])
        # Sums of a batched matrix product may be ordered otherwise: a few roundings.
        for name, value in alone.items():
            torch.testing.assert_close(trained[name][number], value, rtol=1e-11, atol=1e-12)
        for name, value in kept.items():
            torch.testing.assert_close(buffers[name][number], value, rtol=1e-11, atol=1e-12)


def test_dropout_stands_before_every_dense_layer():
    """REG-09: the common rate for a CNN."""
    module = SmallCNN((1, 8, 8), 3, dropout="cnn")
    assert module.dropout.rate == module.dense.hidden[0].dropout.rate == pytest.approx(0.45)
    x = normal(2, 1, 8, 8).float()
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_builder_takes_shapes_and_parts_from_its_context():
    context = ModelContext((3, 12, 9), 4, Tanh, batchnorm)
    options = {"channels": [5], "kernel": 2, "pool": "avg", "hidden": [], "norm_position": "post"}
    module = build_small_cnn(context, **bind(build_small_cnn, options, "model"))
    assert module(torch.zeros(5, 3, 12, 9)).shape == (5, 4)
    first = module.features[0]
    assert [type(part).__name__ for part in first] == ["Conv2d", "Tanh", "BatchNorm2d", "AvgPool2d"]
    assert first.conv.weight.shape == (5, 3, 2, 2)
    assert module.dense.output.weight.shape == (4, 5 * 6 * 4)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (ModelContext((3, 2), 4, ReLU), "images of 3 x 2 cannot be halved 2 times"),
        (ModelContext((10,), 4, ReLU), r"this task's inputs have shape \(10,\)"),
        (ModelContext((2, 3, 4, 5), 4, ReLU), r"inputs have shape \(2, 3, 4, 5\)"),
        (ModelContext((8, 8), 4, Softmax), "softmax and its like"),
        (ModelContext((16,), 4, ReLU, vocabulary=5), "cannot take this task, which has tokens"),
    ],
)
def test_task_without_fitting_images_is_refused(context, message):
    with pytest.raises(ConfigError, match=message):
        build_small_cnn(context)


@pytest.mark.parametrize(
    "options", [{"channels": [0]}, {"kernel": 0}, {"pool": "min"}, {"dropout": 1.0}]
)
def test_option_out_of_range_is_refused(options):
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(options))}"):
        bind(build_small_cnn, options, "model")


def test_every_part_is_called_as_a_module():
    """So that hooks, and what is built on them, see each part."""
    module, seen = full_network(), set()
    for name, part in module.named_modules():
        part.register_forward_hook(lambda *_, name=name: seen.add(name))
    module(normal(4, 2, 8, 8))
    assert seen == {name for name, _ in module.named_modules()}


def test_features_are_dropped_before_the_first_dense_layer():
    """The one place of dropout where there is no hidden layer."""
    module = SmallCNN((1, 4, 4), 3, channels=(2,), hidden=(), dropout=0.5)
    seed_dropout(module, 0)
    x = normal(6, 1, 4, 4).float()
    dropped, whole = module(x), module.eval()(x)
    assert not torch.allclose(dropped, whole)
