"""The Transformer: its parts against torch's, what a step knows, shapes, stacks, options."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError, bind
from optlab.init import he_normal_, initialize
from optlab.models.context import ModelContext
from optlab.models.transformer import Block, Transformer, build_transformer
from optlab.nn import Dropout, ReLU, Tanh, seed_dropout
from optlab.nn.losses import SparseCCE
from optlab.optim import Adam


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symbols(*shape, seed=0, vocabulary=5):
    return torch.randint(vocabulary, shape, generator=torch.Generator().manual_seed(seed))


def small(seed=0, **options):
    options = {"width": 8, "heads": 2, "tokens": True, **options}
    module = Transformer(6, 5 if options["tokens"] else 3, 4, **options).double()
    initialize(module, he_normal_, seed)
    seed_dropout(module, seed)
    return module


def test_block_equals_the_encoder_layer_of_torch():
    """Pre-norm, causal, 4 W hidden units."""
    block = Block(8, 2, ReLU, rate=0.0).double()
    twin = nn.TransformerEncoderLayer(8, 2, 32, 0.0, batch_first=True, norm_first=True).double()
    for seed, parameter in enumerate(block.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed)
    parts = [
        (twin.norm1, block.attention_norm),
        (twin.self_attn, block.attention),
        (twin.norm2, block.hidden_norm),
        (twin.linear1, block.hidden[0]),
        (twin.linear2, block.hidden[2]),
    ]
    for theirs, ours in parts:
        theirs.load_state_dict(ours.state_dict())
    x, later = numbers(3, 6, 8), torch.ones(6, 6, dtype=torch.bool).triu(1)
    # A dozen sums of up to 32 products of numbers that grow to hundreds.
    torch.testing.assert_close(block(x), twin(x, src_mask=later), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("target_steps", "shape"), [(None, (2, 4)), (1, (2, 1, 4)), (3, (2, 3, 4)), (6, (2, 6, 4))]
)
@pytest.mark.parametrize("tokens", [True, False])
def test_answers_the_last_steps(tokens, target_steps, shape):
    x = symbols(2, 6) if tokens else numbers(2, 6, 3)
    assert small(tokens=tokens, target_steps=target_steps)(x).shape == shape


def test_answer_without_time_axis_is_that_of_the_last_step():
    one, all_ = small(), small(target_steps=6)
    torch.testing.assert_close(one(symbols(2, 6)), all_(symbols(2, 6))[:, -1])


def test_several_answers_are_those_of_the_last_steps():
    some, all_ = small(target_steps=2), small(target_steps=6)
    torch.testing.assert_close(some(symbols(2, 6)), all_(symbols(2, 6))[:, -2:])


def test_future_does_not_change_the_past():
    module, x = small(target_steps=6), symbols(1, 6)
    other = x.clone()
    other[:, 4] = (x[:, 4] + 1) % 5
    changed = (module(x) != module(other)).any(-1)[0]
    assert changed.tolist() == [False] * 4 + [True] * 2


def test_order_of_earlier_steps_matters():
    module, x = small(), torch.tensor([[0, 1, 2, 3, 4, 0], [1, 0, 2, 3, 4, 0]])
    first, second = module(x)
    assert (first - second).abs().max() > 1e-3


def test_shorter_sequences_are_read_as_beginnings():
    module, x = small(target_steps=3), symbols(2, 6)
    torch.testing.assert_close(module(x[:, :3]), small(target_steps=6)(x)[:, :3])


def train(gradient, parameters, buffers, x, y, steps=3):
    for _ in range(steps):
        slopes = gradient(parameters, buffers, x, y)
        parameters = {name: p - 0.1 * slopes[name] for name, p in parameters.items()}
    return parameters


@pytest.mark.parametrize("tokens", [True, False])
def test_stack_of_three_trains_as_each_run_alone(tokens):
    runs = [small(seed, tokens=tokens, dropout=0.3, depth=1) for seed in range(3)]
    x = symbols(3, 7, 6) if tokens else numbers(3, 7, 6, 3)
    y = symbols(3, 7, vocabulary=4)

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
            torch.testing.assert_close(trained[name][number], value, rtol=1e-11, atol=1e-12)


def test_learns_to_repeat_what_came_three_steps_before():
    """A task of attention: the last answer is a symbol that no later step holds."""
    module = Transformer(6, 5, 5, width=16, heads=2, depth=1, tokens=True)
    initialize(module, he_normal_, seed=1)
    optimizer, loss = Adam(module.parameters(), lr=1e-2), SparseCCE()
    for update in range(120):
        x = symbols(32, 6, seed=update)
        optimizer.zero_grad()
        loss(module(x), x[:, 2]).backward()
        optimizer.step()
    fresh = symbols(200, 6, seed=1000)
    accuracy = (module(fresh).argmax(-1) == fresh[:, 2]).double().mean()
    assert accuracy > 0.95  # a guess is right once in five


def test_dropout_acts_in_training_only():
    module, x = small(dropout=0.5), symbols(2, 6)
    assert sum(isinstance(part, Dropout) for part in module.modules()) == 1 + 2 * 2
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))
    torch.testing.assert_close(module(x), small().eval()(x))


def test_builder_takes_shapes_and_parts_from_its_context():
    context = ModelContext((6,), 4, Tanh, vocabulary=5, target_steps=2)
    options = {"width": 12, "heads": 3, "depth": 3, "dropout": "rnn"}
    module = build_transformer(context, **bind(build_transformer, options, "model"))
    assert module(symbols(2, 6)).shape == (2, 2, 4)
    assert len(module.blocks) == 3
    assert [type(part).__name__ for part in module.blocks[0].hidden] == ["Linear", "Tanh", "Linear"]
    assert module.blocks[0].attention.num_heads == 3
    assert module.dropout.rate == pytest.approx(0.25)


def test_builder_reads_numbers_where_there_is_no_vocabulary():
    module = build_transformer(ModelContext((6, 3), 4, ReLU))
    assert module(torch.zeros(2, 6, 3)).shape == (2, 4)


@pytest.mark.parametrize(
    "context", [ModelContext((6,), 4, ReLU), ModelContext((6, 3), 4, ReLU, vocabulary=5)]
)
def test_task_without_a_time_axis_is_refused(context):
    with pytest.raises(ConfigError, match="choose a task of sequences"):
        build_transformer(context)


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"heads": 0}, {"depth": 0}, {"dropout": 1.0}], ids=str
)
def test_option_out_of_range_is_refused(options):
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(options))}"):
        bind(build_transformer, options, "model")


def test_width_that_heads_cannot_share_is_refused():
    context = ModelContext((6, 3), 4, ReLU)
    with pytest.raises(ConfigError, match=r"model\.width must be a multiple of model.heads"):
        build_transformer(context, width=10, heads=4)


@pytest.mark.parametrize(
    ("tokens", "x", "reason"),
    [
        (True, torch.zeros(2, 6), "reads tokens, int64, got torch.float32"),
        (False, torch.zeros(2, 6, 3).long(), "reads floating-point numbers, got torch.int64"),
        (True, torch.zeros(2, 7).long(), r"2 to 6 steps, got 7: inputs of shape \(2, 7\)"),
        (True, torch.zeros(2, 1).long(), "2 to 6 steps, got 1"),
        (True, torch.zeros(6).long(), r"shape \(B, T\), got \(6,\)"),
        (True, torch.zeros(2, 6, 3).long(), r"shape \(B, T\), got \(2, 6, 3\)"),
        (True, torch.zeros(2, 6).long() - 1, r"tokens must be in \[0, 4\], got values from -1"),
        (True, torch.zeros(2, 6).long() + 5, r"tokens must be in \[0, 4\], got values from 5"),
        (False, torch.zeros(3), r"shape \(B, T, 3\), got \(3,\)"),
        (False, torch.zeros(2, 6, 4), r"shape \(B, T, 3\), got \(2, 6, 4\)"),
        (False, torch.zeros(2, 0, 3), "a sequence needs at least one time step"),
        (False, torch.zeros(2, 6, 3), "parameters' dtype torch.float64, got torch.float32"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(tokens, x, reason):
    with pytest.raises(ConfigError, match=reason):
        small(tokens=tokens, target_steps=2)(x)


def test_more_answers_than_steps_are_refused():
    with pytest.raises(ConfigError, match="last 7 time steps, and there are 6"):
        small(target_steps=7)


def test_no_step_to_answer_is_refused():
    with pytest.raises(ConfigError, match=r"target_steps must be in \[1, inf\), got 0"):
        small(target_steps=0)
