"""Modules of others are trained exactly, or refused with a reason that names what is in the way."""

import copy
import dataclasses
import math
import uuid

import pytest
import torch
from torch import nn

from optlab.compiler import NoCompiler
from optlab.train.native import Native, NotNative
from optlab.train.native.function import kernels
from tests.train.native.test_backend import DOUBLE, advance, parts, train_alone, weights

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)

F = torch.nn.functional
SGD = ("optimizer=minibatch_gd", "optimizer.lr=0.05")


def replaced(module, *overrides, seed=0):
    """Return the parts of a run of a copy of a module, which takes 64 features, gives 10 scores."""
    each = parts(DOUBLE, *overrides, seed=seed)
    own = copy.deepcopy(module).double()
    return dataclasses.replace(each, module=own, structure=uuid.uuid4().hex)


def check_trained(module, *overrides):
    overrides = overrides or SGD
    each = replaced(module, *overrides)
    native = Native([each])
    advance(native, [each], [0])
    other = replaced(module, *overrides)
    alone = train_alone(other)
    torch.testing.assert_close(weights(native.members[0]), weights(alone), rtol=1e-10, atol=1e-12)
    means = alone.objective.averages(other.module, other.data.val)[0]
    found = native.evaluate([0], each.data.val)[0]
    torch.testing.assert_close(found, means, rtol=1e-9, atol=1e-12)


class Scores(nn.Module):
    """Scores of what an inner module makes of rows of eight features in eight steps."""

    def __init__(self, inner, features, call=lambda inner, x: inner(x)):
        super().__init__()
        self.inner, self.out, self.call = inner, nn.Linear(features, 10), call

    def forward(self, x):
        return self.out(self.call(self.inner, x.view(-1, 8, 8)).flatten(2).mean(1))


class Attention(nn.Module):
    def __init__(self, written):
        super().__init__()
        self.project, self.written = nn.Linear(8, 24), written

    def forward(self, x):
        q, k, v = self.project(x).view(-1, 8, 3, 2, 4).permute(2, 0, 3, 1, 4)
        if self.written is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores, mask = q @ k.transpose(-1, -2), torch.ones(8, 8, dtype=torch.bool).triu(1)
            fill = scores.masked_fill_ if self.written else scores.masked_fill
            y = fill(mask, -math.inf).softmax(-1) @ v
        return y.transpose(1, 2).reshape(-1, 8, 8)


class Tokens(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.table, self.out = nn.Embedding(17, 8, **options), nn.Linear(8, 10)

    def forward(self, x):
        return self.out(self.table((x.abs() * 3).long().clamp(0, 16)).mean(1))


class Linear(nn.Module):
    """A layer that does something beside its product."""

    def __init__(self, beside, **held):
        super().__init__()
        self.layer, self.beside = nn.Linear(64, 10), beside
        self.register_buffer("mean", torch.zeros(64))
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("even", torch.arange(64) % 2 == 0)
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.layer(self.beside(self, x))


def moves_buffers(module, x):
    if module.training:
        module.mean = 0.9 * module.mean + 0.1 * x.mean(0).detach()
        module.calls = module.calls + 1
    return torch.where(module.even, x - module.mean, x * module.calls)


def frozen():
    module = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    module[0].weight.requires_grad_(False)
    return module


def tied():
    module = Linear(lambda m, x: x + m.layer.weight.mean(0) * m.twin.mean())
    module.twin, module.unused = module.layer.weight, nn.Linear(3, 3)
    module.empty = nn.Parameter(torch.zeros(0))
    return module


def layers(*inner):
    return nn.Sequential(nn.Linear(64, 16), *inner, nn.Linear(16, 10))


def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return Scores(nn.TransformerEncoder(layer, 1), 8)


TRAINED = {
    "activations of torch": lambda: layers(
        nn.GELU(), nn.SiLU(), nn.Softplus(), nn.ELU(), nn.Mish()
    ),
    "norms of torch": lambda: layers(nn.GroupNorm(4, 16), nn.LayerNorm(16), nn.RMSNorm(16)),
    "in place": lambda: layers(
        *(nn.ReLU(True), nn.Linear(16, 16), nn.ELU(inplace=True), nn.Linear(16, 16)),
        *(nn.SiLU(True), nn.Linear(16, 16), nn.LeakyReLU(inplace=True)),
    ),
    "convolution": lambda: nn.Sequential(
        *(nn.Unflatten(1, (4, 16)), nn.Conv1d(4, 8, 3, stride=2), nn.MaxPool1d(2)),
        *(nn.Flatten(), nn.Linear(24, 10)),
    ),
    "channels last": lambda: nn.Sequential(
        *(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(36, 10)),
    ).to(memory_format=torch.channels_last),
    "gru": lambda: Scores(nn.GRU(8, 6, batch_first=True), 6, lambda inner, x: inner(x)[0]),
    "lstm": lambda: Scores(nn.LSTM(8, 6, batch_first=True), 6, lambda inner, x: inner(x)[0]),
    "heads": lambda: Scores(
        nn.MultiheadAttention(8, 2, batch_first=True), 8, lambda inner, x: inner(x, x, x)[0]
    ),
    "encoder": encoder,
    "attention": lambda: Scores(Attention(None), 8),
    "attention by hand": lambda: Scores(Attention(False), 8),
    "attention by hand in place": lambda: Scores(Attention(True), 8),
    "tokens": Tokens,
    "padded tokens": lambda: Tokens(padding_idx=0),
    "buffers in the place of others": lambda: Linear(moves_buffers),
    "frozen weights": frozen,
    "tied and unused weights": tied,
}


@pytest.mark.parametrize("name", TRAINED)
def test_trained_as_the_functional_engine_does(name):
    torch.manual_seed(0)
    check_trained(TRAINED[name]())


def test_frozen_weights_decay_as_they_do_alone():
    check_trained(frozen(), "optimizer=momentum", "regularizer=l2")


def counts(module, x):
    module.count += 1
    return x / module.count


def remembers(module, x):
    before, module.last = module.last, x.mean().detach()
    return x if before is None else x + before


def writes_input(module, x):
    return x.mul_(2) if not module.training else x


def looks_in_evaluation(module, x):
    return x if module.training else x * float(x.sum())


def counts_evaluations(module, x):
    if not module.training:
        module.calls = module.calls + 1
    return x


REFUSED = {
    "a count": (lambda: Linear(counts, count=0), "'count'"),
    "a state": (lambda: Linear(remembers, last=None), "'last'"),
    "its own tensor": (
        lambda: Linear(lambda m, x: x + m.shift.mul_(1), shift=torch.zeros(64)),
        "not its own",
    ),
    "its weights": (
        lambda: Linear(lambda m, x: x + m.layer.weight.detach().clamp_(-1, 1).sum()),
        "not its own",
    ),
    "rows of the data": (lambda: Linear(writes_input), "not its own"),
    "buffers in evaluation": (lambda: Linear(counts_evaluations), "place of calls"),
    "numbers in evaluation": (lambda: Linear(looks_in_evaluation), "value of a tensor"),
    "half precision": (lambda: Linear(lambda m, x: x.bfloat16().double()), "bfloat16"),
    "frequencies": (lambda: Tokens(scale_grad_by_freq=True), "scale_grad_by_freq"),
    "sparse gradients": (lambda: Tokens(sparse=True), "[Ss]parse"),
    "dropout of torch": (lambda: layers(nn.Dropout(0.1)), "global generator"),
    "sparse tensors": (
        lambda: Linear(lambda m, x: x, graph=torch.eye(3).to_sparse()),
        "sparse",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_trained(name):
    make, reason = REFUSED[name]
    each = parts(DOUBLE, *SGD)
    rows = each.data.train.x.clone()
    own = dataclasses.replace(each, module=make().double(), structure=name)
    with pytest.raises(NotNative, match=reason):
        Native([own])
    assert torch.equal(each.data.train.x, rows)


class Turned(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 64).t())

    def forward(self, x):
        return x @ self.weight


def test_weights_that_do_not_lie_in_order_are_refused():
    with pytest.raises(NotNative, match="strides"):
        Native([replaced(Turned(), *SGD)])


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: [s], lambda s: {"a": (s,)}, float])
def test_numbers_of_a_seed_wherever_they_are_do_not_leak_into_another_run(wrap):
    def seeded(scale):
        module = Linear(lambda m, x: x * _unwrapped(m.scale), scale=wrap(torch.tensor(scale)))
        torch.manual_seed(1)
        module.layer.reset_parameters()
        each = replaced(Linear(None), *SGD)
        return dataclasses.replace(each, module=module.double(), structure="seeded")

    both = [seeded(1.0), seeded(3.0)]
    stack = Native(both)
    advance(stack, both, [0, 1])
    for scale, member in zip((1.0, 3.0), stack.members, strict=True):
        torch.testing.assert_close(weights(member), weights(train_alone(seeded(scale))))


def _unwrapped(value):
    while isinstance(value, list | tuple | dict):
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return value


def test_data_that_does_not_lie_in_order_trains_and_evaluates():
    each, other = parts(DOUBLE), parts(DOUBLE)
    turned = dataclasses.replace(
        each.data,
        train=dataclasses.replace(each.data.train, x=each.data.train.x.t().contiguous().t()),
        val=dataclasses.replace(each.data.val, x=each.data.val.x.t().contiguous().t()),
    )
    each = dataclasses.replace(each, data=turned)
    native, straight = Native([each]), Native([other])
    advance(native, [each], [0])
    advance(straight, [other], [0])
    assert torch.equal(weights(native.members[0]), weights(straight.members[0]))
    found = native.evaluate([0], each.data.val)
    assert torch.equal(found, straight.evaluate([0], other.data.val))


def test_the_same_rows_with_other_targets_are_evaluated_anew():
    each = parts(DOUBLE)
    native, val = Native([each]), each.data.val
    other = dataclasses.replace(val, y=(val.y + 1) % 10)
    first, second = native.evaluate([0], val), native.evaluate([0], other)
    wanted = each.objective.averages(each.module, other)[0]
    torch.testing.assert_close(second[0], wanted)
    assert not torch.equal(first, second)
