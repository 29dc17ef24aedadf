"""A run among others is the run alone, to the last bit, and as the other engines train it."""

import copy
import dataclasses
import functools
import math

import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from torch import nn

from optlab import registry
from optlab.build import parts_of
from optlab.compiler import NoCompiler
from optlab.seeding import global_stream
from optlab.train.native import Native, NotNative
from optlab.train.native.function import kernels

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)

DOUBLE = "trainer.dtype=float64"
OPTIMIZERS = [name for name, _ in registry.optimizers.items()]
ACTIVATIONS = [name for name, _ in registry.activations.items()]
MODELS = {
    "batchnorm": ["norm=batchnorm", "model.dropout=0.3"],
    "layernorm after": ["norm=layernorm", "model.norm_position=post"],
    "small_cnn": ["model=small_cnn", "norm=batchnorm"],
    "resnet": ["model=resnet"],
    "lstm": ["model=lstm", "task=sequential_digits"],
    "rnn": ["model=rnn", "task=sequential_digits"],
    "transformer": ["model=transformer", "task=reversal"],
    "deep_linear": ["model=deep_linear"],
    "perceptron": ["model=perceptron", "task=and"],
    "point": ["task=rosenbrock"],
    "regression": ["task=line", "loss=huber"],
    "bce": ["task=xor", "loss=bce"],
    "hinge": ["task=spirals", "loss=hinge"],
    "one-hot": ["loss=cce"],
    "memory": ["model=lstm", "task=copy"],
}
REGULARIZERS = {
    "l1": ["regularizer=l1"],
    "l2": ["regularizer=l2"],
    "decay": ["regularizer=decay"],
    "clip": ["regularizer=clip"],
    "ema": ["transform=ema"],
    "lookahead": ["transform=lookahead"],
    "cautious": ["transform=cautious"],
}


@functools.cache
def composed(*overrides):
    with initialize_config_module("optlab.configs", version_base="1.3"):
        config = compose("train", overrides=list(overrides))
    return {k: v for k, v in OmegaConf.to_container(config, resolve=True).items() if k != "sweep"}


def parts(*overrides, seed=0):
    config = copy.deepcopy(composed(*overrides)) | {"seed": seed}
    with global_stream(seed, "cpu"):
        return parts_of(config)


def batches(each, steps):
    """Return the first batches of a run, (steps, B), or None for all rows."""
    size = min(each.sampler.batch_size, each.sampler.num_rows)
    epochs = range(1 + steps)
    rows = [rows for e in epochs for rows in each.sampler.epoch(e)]
    if rows[0] is None:
        return None
    return torch.stack([batch for batch in rows if len(batch) == size][:steps])


def advance(native, members, active, steps=6):
    """Train active members, and return what each reported."""
    own = [batches(members[i], steps) for i in active]
    rows = None if own[0] is None else torch.stack(own)
    factors = torch.linspace(1, 0.5, steps, dtype=torch.float64).expand(len(active), -1)
    return native.advance(active, rows, factors)


def weights(member):
    return torch.cat([value.double().reshape(-1) for value in member.snapshot().values()])


def train_alone(each, steps=6):
    """Train a run by the functional engine, and return it."""
    run = each.run()
    each.module.train()
    rows = batches(each, steps)
    for step, factor in enumerate(torch.linspace(1, 0.5, steps, dtype=torch.float64).tolist()):
        run.step(None if rows is None else rows[step], factor)
    return run


def check_engines_agree(*overrides, rtol=1e-12):
    """Compare a native run with the functional engine, both in double precision."""
    each = parts(DOUBLE, *overrides)
    native = Native([each])
    advance(native, [each], [0])
    alone = train_alone(parts(DOUBLE, *overrides))
    torch.testing.assert_close(weights(native.members[0]), weights(alone), rtol=rtol, atol=rtol)
    means = native.evaluate([0], each.data.val)[0].tolist()
    with alone.at_iterate():
        wanted = alone.objective.evaluate(alone.module, each.data.val)
    shown = native.members[0].objective.shown(means)
    for name, value in shown.items():
        assert value == pytest.approx(wanted[name], rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains_as_the_functional_engine_does(name):
    entry = registry.optimizers.get(name)
    if entry.needs_full_rank:
        pytest.skip(entry.needs_full_rank)
    check_engines_agree(f"optimizer={name}", "trainer.batch_size=64")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_trains_as_the_functional_engine_does(name):
    check_engines_agree(f"activation={name}")


@pytest.mark.parametrize("name", [*MODELS, *REGULARIZERS])
def test_models_and_regularizers_train_as_the_functional_engine_does(name):
    check_engines_agree(*(MODELS.get(name) or REGULARIZERS[name]), rtol=1e-10)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "overrides",
    [
        *([f"optimizer={name}"] for name in OPTIMIZERS),
        *([f"activation={name}"] for name in ACTIVATIONS),
        MODELS["batchnorm"],
        MODELS["lstm"],
        MODELS["small_cnn"],
    ],
    ids=lambda words: ",".join(words),
)
def test_a_run_among_others_is_the_run_alone_to_the_last_bit(overrides, threads):
    others = [parts("optimizer.lr=0.1", *overrides, seed=seed) for seed in (3, 4)]
    among = [others[0], parts(*overrides, seed=7), others[1]]
    stack = Native(among, threads)
    values = advance(stack, among, [0, 1, 2])[1]
    alone = parts(*overrides, seed=7)
    single = Native([alone], 1)
    assert torch.equal(advance(single, [alone], [0])[0], values)
    assert torch.equal(weights(single.members[0]), weights(stack.members[1]))
    assert torch.equal(
        single.evaluate([0], alone.data.val)[0], stack.evaluate([0, 1, 2], alone.data.val)[1]
    )


def test_optimizers_and_activations_mix_in_one_stack():
    cells = [("adam", "relu"), ("muon", "tanh"), ("nag", "prelu"), ("lamb", "elu")]
    overrides = [[f"optimizer={o}", f"activation={a}"] for o, a in cells]
    members = [parts(*words) for words in overrides]
    stack = Native(members)
    advance(stack, members, range(4))
    for words, member in zip(overrides, stack.members, strict=True):
        alone = parts(*words)
        single = Native([alone])
        advance(single, [alone], [0])
        assert torch.equal(weights(single.members[0]), weights(member))


def test_nan_in_a_run_and_runs_left_out_change_nothing_for_the_others():
    seeds = range(4)
    healthy = [parts(seed=seed) for seed in seeds]
    wanted = Native(healthy)
    advance(wanted, healthy, range(4), steps=12)
    sick = [parts(seed=seed) for seed in seeds]
    stack = Native(sick)
    with torch.no_grad():
        next(sick[1].module.parameters()).fill_(math.nan)
    first = advance(stack, sick, range(4))
    assert first[1].isnan().any()
    rest = [0, 2]
    own = torch.stack([batches(sick[i], 12)[6:] for i in rest])
    factors = torch.linspace(1, 0.5, 12, dtype=torch.float64)
    again = Native([parts(seed=seed) for seed in seeds])
    rows = torch.stack([batches(healthy[i], 12) for i in range(4)])
    again.advance(range(4), rows[:, :6], factors[:6].expand(4, -1))
    again.advance(rest, own, factors[6:].expand(2, -1))
    for i in rest:
        assert torch.equal(weights(again.members[i]), weights(wanted.members[i]))


def test_a_long_training_is_the_plain_loop_of_torch():
    each = parts(DOUBLE, "optimizer=adam", "activation=tanh", "trainer.batch_size=64")
    oracle = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10)).double()
    with torch.no_grad():
        for ours, theirs in zip(each.module.parameters(), oracle.parameters(), strict=True):
            theirs.copy_(ours)
    native = Native([each])
    rows = batches(each, 200)
    native.advance([0], rows[None], torch.ones(1, 200, dtype=torch.float64))
    optimizer = torch.optim.Adam(oracle.parameters())
    for batch in rows:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            oracle(each.data.train.x[batch]), each.data.train.y[batch]
        )
        loss.backward()
        optimizer.step()
    for ours, theirs in zip(each.module.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_the_last_batch():
    each = parts(DOUBLE)
    native = Native([each])
    advance(native, [each], [0], steps=5)
    before = parts(DOUBLE)
    earlier = Native([before])
    rows = batches(before, 5)
    factors = torch.linspace(1, 0.5, 5, dtype=torch.float64)[None]
    earlier.advance([0], rows[None, :4], factors[:, :4])
    train, module = before.data.train, before.module
    loss = before.objective.loss(module(train.x[rows[4]]), train.y[rows[4]])
    wanted = torch.autograd.grad(loss, list(module.parameters()))
    for got, want in zip(native.members[0].gradients().values(), wanted, strict=True):
        torch.testing.assert_close(got, want)


def test_a_short_batch_and_another_size_later():
    each, alone = parts(DOUBLE), parts(DOUBLE)
    native, run = Native([each]), alone.run()
    one = torch.ones(1, 1, dtype=torch.float64)
    for size in (32, 7, 32):
        rows = torch.arange(size) * 3
        native.advance([0], rows[None, None], one)
        run.step(rows, 1.0)
    torch.testing.assert_close(weights(native.members[0]), weights(run), rtol=1e-12, atol=1e-13)


def test_what_is_no_rule_of_ours_is_refused_with_the_reason():
    words = ("optimizer=foreign", "optimizer.target=torch.optim.Adam")
    with pytest.raises(NotNative, match="of others"):
        Native([parts(*words)])
    with pytest.raises(NotNative, match="engine=plain"):
        Native([parts("trainer.engine=plain")])


def test_a_model_that_looks_at_values_is_refused_with_the_reason():
    class Looking(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x) if float(x.sum()) > 0 else self.inner(-x)

    each = parts()
    looking = dataclasses.replace(each, module=Looking(each.module), structure="looking")
    with pytest.raises(NotNative, match="recorded"):
        Native([looking])


def test_a_model_that_draws_from_a_global_generator_is_refused_with_the_reason():
    each = parts()
    module = nn.Sequential(each.module, nn.Dropout(0.5))
    with pytest.raises(NotNative, match="global generator"):
        Native([dataclasses.replace(each, module=module, structure="torch's dropout")])


def test_numbers_hidden_in_a_module_do_not_leak_into_another_run():
    class Scaled(nn.Module):
        def __init__(self, inner, scale):
            super().__init__()
            self.inner, self.scale = inner, torch.tensor(scale, dtype=torch.float64)

        def forward(self, x):
            return self.inner(x) * self.scale

    def scaled(scale):
        each = parts(DOUBLE)
        module = Scaled(each.module, scale)
        return dataclasses.replace(each, module=module, structure="scaled")

    both = [scaled(1.0), scaled(3.0)]
    stack = Native(both)
    advance(stack, both, [0, 1])
    alone = scaled(3.0)
    torch.testing.assert_close(weights(stack.members[1]), weights(train_alone(alone)))
