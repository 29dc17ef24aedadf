"""The residual network: sizes of the paper, shortcuts, start without a norm, stacks."""

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError, bind
from optlab.init import he_normal_, initialize
from optlab.models import ModelContext
from optlab.models.resnet import Block, ResNet, build_resnet
from optlab.nn import PReLU, ReLU
from optlab.nn.images.convolution import Conv2d
from optlab.nn.losses import SparseCCE
from optlab.nn.normalization.batchnorm import BatchNorm2d


def batchnorm(features, axes):
    assert axes == 2
    return BatchNorm2d(features)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small(seed=0, **options):
    options = {"norm": batchnorm, "shortcut": "B", "activation": PReLU, **options}
    module = ResNet((2, 8, 6), 3, depth=8, width=4, **options).double()
    initialize(module, he_normal_, seed)
    return module


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_number_of_parameters_is_the_papers(depth, millions):
    """Table 6 of the paper."""
    module = ResNet((3, 32, 32), 10, depth=depth, norm=batchnorm)
    count = sum(p.numel() for p in module.parameters())
    assert round(count / 1e6, 2) == pytest.approx(millions, abs=0.011)


def test_depth_counts_the_layers_with_weights_on_the_way():
    module = ResNet((3, 32, 32), 10, depth=20, norm=batchnorm)
    assert sum(isinstance(layer, Conv2d) for layer in module.modules()) + 1 == 20


def test_stages_halve_the_image_and_double_the_channels():
    module = ResNet((3, 32, 32), 10, depth=8, norm=batchnorm)
    x, shapes = module.stem(torch.zeros(2, 3, 32, 32)), []
    for stage in module.stages:
        x = stage(x)
        shapes.append(tuple(x.shape))
    assert shapes == [(2, 16, 32, 32), (2, 32, 16, 16), (2, 64, 8, 8)]


def test_block_adds_branch_and_shortcut_before_the_activation():
    block = Block(3, 3, 1, "A", ReLU, batchnorm).double()
    x = normal(2, 3, 4, 4)
    torch.testing.assert_close(block(x), torch.relu(x + block.branch(x)))


def test_shortcut_a_drops_pixels_and_adds_channels_of_zeros():
    block = Block(2, 5, 2, "A", ReLU, batchnorm)
    x = normal(2, 2, 5, 4)
    kept = block.shortcut(x)
    assert kept.shape == (2, 5, 3, 2)
    assert torch.equal(kept[:, :2], x[:, :, ::2, ::2])
    assert not kept[:, 2:].any()
    assert not list(block.shortcut.parameters())


def test_shortcut_b_is_a_trained_projection():
    block = Block(2, 5, 2, "B", ReLU, batchnorm)
    names = [name for name, _ in block.shortcut.named_parameters()]
    assert names == ["conv.weight", "norm.weight", "norm.bias"]
    assert block.shortcut.conv.weight.shape == (5, 2, 1, 1)
    assert block.shortcut(torch.zeros(2, 2, 5, 4)).shape == (2, 5, 3, 2)


def test_parameters_are_named_by_place_and_part():
    names = list(dict(ResNet((3, 8, 8), 4, depth=8, norm=batchnorm).named_parameters()))
    assert names[0] == "stem.conv.weight"
    assert names[3] == "stages.0.0.branch.conv1.weight"
    assert "stages.2.0.branch.norm2.bias" in names
    assert names[-2:] == ["output.weight", "output.bias"]


def test_without_a_norm_every_block_begins_as_its_shortcut():
    module = small(norm=None, shortcut="A", activation=ReLU)
    x = normal(5, 2, 8, 6)
    stem = module.stem(x)
    means = module.pool(stem[:, :, ::2, ::2][:, :, ::2, ::2])
    expected = means @ module.output.weight[:, :4].T + module.output.bias
    torch.testing.assert_close(module(x), expected)


def test_without_a_norm_depth_does_not_make_scores_grow():
    """At depth 56 they are those of depth 8, to the number; untamed they would be 2^24 times."""
    scores = []
    for depth in (8, 56):
        module = ResNet((3, 8, 8), 10, depth=depth)
        initialize(module, he_normal_, 0)
        scores.append(module(normal(4, 3, 8, 8).float()))
    torch.testing.assert_close(*scores)


def test_branches_that_begin_at_zero_are_trained():
    module = small(norm=None)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for _ in range(2):
        module.zero_grad()
        SparseCCE()(module(normal(6, 2, 8, 6)), torch.arange(6) % 3).backward()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter -= 0.1 * parameter.grad
    moved = [name for name, p in module.named_parameters() if not torch.equal(p, before[name])]
    assert moved == list(before)


@pytest.mark.parametrize("training", [True, False])
def test_stack_of_two_has_the_gradients_and_statistics_of_each_run(training):
    runs = [small(seed).train(training) for seed in range(2)]
    x = torch.stack([normal(4, 2, 8, 6, seed=seed) for seed in range(2)])
    labels = torch.arange(4) % 3

    def loss(parameters, buffers, rows):
        return SparseCCE()(functional_call(runs[0], (parameters, buffers), (rows,)), labels)

    parameters, buffers = stack_module_state(runs)
    slopes = vmap(grad(loss))(parameters, buffers, x)
    for number, run in enumerate(runs):
        SparseCCE()(run(x[number]), labels).backward()
        for name, parameter in run.named_parameters():
            # Sums may be ordered otherwise in a stack: a few roundings.
            torch.testing.assert_close(slopes[name][number], parameter.grad, rtol=1e-10, atol=1e-11)
        for name, buffer in run.named_buffers():
            torch.testing.assert_close(buffers[name][number], buffer)


@pytest.mark.parametrize("shape", [(64,), (8, 8), (3, 5, 7), (3, 2)])
def test_images_of_any_size_are_taken(shape):
    module = build_resnet(ModelContext(shape, 4, ReLU, batchnorm), width=2)
    assert module(torch.zeros(3, *shape)).shape == (3, 4)


def test_builder_takes_its_options():
    context = ModelContext((3, 8, 8), 4, ReLU)
    options = {"depth": 14, "width": 2, "shortcut": "B"}
    module = build_resnet(context, **bind(build_resnet, options, "model"))
    assert [len(stage) for stage in module.stages] == [2, 2, 2]
    assert module.output.weight.shape == (4, 8)
    assert module.stages[1][0].shortcut.conv.bias is not None


@pytest.mark.parametrize("depth", [2, 9, 18])
def test_depth_that_is_not_the_papers_is_refused(depth):
    with pytest.raises(
        ConfigError, match=rf"depth must be 6n \+ 2 .*, got {depth} \(model.depth\)"
    ):
        ResNet((3, 8, 8), 4, depth=depth)


@pytest.mark.parametrize("options", [{"depth": 0}, {"width": 0}, {"shortcut": "C"}])
def test_option_out_of_range_is_refused(options):
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(options))}"):
        bind(build_resnet, options, "model")


def test_every_part_is_called_as_a_module():
    """So that hooks, and what is built on them, see each part."""
    module, seen = small(), set()
    for name, part in module.named_modules():
        part.register_forward_hook(lambda *_, name=name: seen.add(name))
    module(normal(2, 2, 8, 6))
    assert seen == {name for name, _ in module.named_modules()}
