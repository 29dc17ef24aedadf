"""Stacked runs, eagerly: each is the run alone, and what happens to one is nobody else's matter.

A batched product of matrices may add in another order than a single one, and elementwise kernels
round the last few of a tensor's elements otherwise than the rest: float64, and 1e-10.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from optlab import registry
from optlab.config import ConfigError
from optlab.config.schema import TrainerConfig
from optlab.nn import BatchNorm1d, LeakyReLU, PReLU, ReLU, Tanh
from optlab.nn.losses import SparseCCE
from optlab.optim import LAMB, NAG, SGD, SOAP, Adam, AdamW, Momentum, ScheduleFreeAdamW
from optlab.optim.regularizers import Regularizer
from optlab.train.stack.vmapped import NotStackable, Vmapped
from tests.optim import transformed
from tests.train.stack.configs import parts as configured
from tests.train.stack.vmapped_runs import (
    EVERYTHING,
    again,
    factors_of,
    part,
    rows_of,
    trained,
    weights,
)

RULES = list(dict.fromkeys(entry for _, entry in registry.optimizers.items()))
RULES += transformed.CLASSES
STEADY = [entry for entry in RULES if not entry.needs_full_rank]
ACTIVATIONS = [entry for _, entry in registry.activations.items()]


def equal(a, b, tolerance=1e-10):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_every_optimizer_and_activation_in_one_stack_equals_the_run_alone():
    """Each optimizer with all regularizers and without, each activation, batch norm, dropout."""
    parts = [
        part(
            number,
            entry,
            lr=0.003,
            activation=ACTIVATIONS[number % len(ACTIVATIONS)],
            norm=BatchNorm1d,
            dropout=(0.0, 0.25, 0.5)[number % 3],
            regularizer=EVERYTHING if number % 2 else None,
        )
        for number, entry in enumerate([*STEADY, *STEADY[1:], *STEADY[:1]])
    ]
    alone, updates = [own.run() for own in again(parts)], 20
    stack, values, means = trained(parts, updates)
    orders, factors = rows_of(parts, updates), factors_of(len(parts), updates)
    for run, (member, single) in enumerate(zip(stack.members, alone, strict=True)):
        steps = zip(orders[run], factors[run].tolist(), strict=True)
        single.module.train()
        found = torch.stack([torch.stack(single.step(rows, factor)) for rows, factor in steps])
        equal(values[run], found)
        for name, tensor in weights(single.module).items():
            equal(weights(member.module)[name], tensor)
        for name, gradient in single.gradients().items():
            equal(member.gradients()[name], gradient)
        with single.at_iterate(), member.at_iterate():
            equal(weights(member.module), weights(single.module))
            shown = member.objective.evaluate(single.module, parts[0].data.val)
        equal(means[run].tolist(), list(shown.values()))


def test_soap_looks_at_its_counter_and_pays_for_a_decomposition_only_when_it_is_due():
    """With all directions spanned by gradients, else LAPACK chooses (`SOAP.needs_full_rank`)."""
    parts = [part(n, SOAP, lr=0.01, precondition_frequency=3) for n in range(3)]
    stack, _, _ = trained(parts, updates=8)
    states = stack._blocks[0].tensors.states[0]
    assert {state["step"] for state in states.values()} == {8.0}
    tensors = [p for own in parts for p in own.module.parameters()]
    assert all(tensor.isfinite().all() for tensor in tensors)


def test_all_rows_and_a_short_last_batch_are_other_programs_of_the_same_kind():
    parts = [part(n, lr=0.01) for n in range(3)]
    alone = [own.run() for own in again(parts)]
    stack, ones = Vmapped(parts, False), torch.ones(3, 2, dtype=torch.float64)
    for rows in (None, rows_of(parts, 2), rows_of(parts, 2)[:, :, :3]):
        values = stack.advance([0, 1, 2], rows, ones)
        for run, single in enumerate(alone):
            steps = [single.step(None if rows is None else rows[run, k], 1.0) for k in (0, 1)]
            equal(values[run], torch.stack([torch.stack(step) for step in steps]))


def test_runs_are_given_back_in_the_order_in_which_they_came():
    """Mixed rules and networks, which the stack sorts, in two orders."""
    kinds = [(Adam, ReLU), (SGD, Tanh), (Adam, Tanh), (SGD, PReLU), (NAG, ReLU), (Adam, ReLU)]
    parts = [part(n, entry, activation=f) for n, (entry, f) in enumerate(kinds)]
    order = [4, 2, 0, 5, 3, 1]
    first, values, means = trained(again(parts))
    second, others, other_means = trained([again(parts)[n] for n in order], wanted=order)
    equal(values[order], others)
    equal(means[order], other_means)
    for place, n in enumerate(order):
        equal(weights(first.members[n].module), weights(second.members[place].module))


@pytest.mark.parametrize("entry", [Adam, SOAP, ScheduleFreeAdamW], ids=lambda entry: entry.__name__)
def test_a_run_that_turns_nan_leaves_the_others_bitwise_unchanged(entry):
    parts = [part(n, entry, norm=BatchNorm1d, regularizer=EVERYTHING) for n in range(4)]
    spoiled = again(parts)
    with torch.no_grad():
        spoiled[2].module.output.weight[0, 0] = math.nan
    well, values, means = trained(parts)
    ill, others, other_means = trained(spoiled)
    assert others[2].isnan().any()
    for n in (0, 1, 3):
        assert torch.equal(values[n], others[n])
        assert torch.equal(means[n], other_means[n])
        pair = (weights(stack.members[n].module) for stack in (well, ill))
        assert all(map(torch.equal, *(tensors.values() for tensors in pair)))


def test_runs_that_left_keep_what_they_had_and_the_others_go_on():
    """The third call finds half the places idle, and moves the others together."""
    kinds = [(Adam, 0.0), (NAG, 0.5), (Adam, 0.5), (Momentum, 0.0)]
    parts = [part(n, entry, dropout=rate) for n, (entry, rate) in enumerate(kinds)]
    whole, orders, factors = Vmapped(again(parts), False), rows_of(parts, 9), factors_of(4, 9)
    stack = Vmapped(parts, False)
    wanted = whole.advance([0, 1, 2, 3], orders[:, :3], factors[:, :3])
    equal(stack.advance([0, 1, 2, 3], orders[:, :3], factors[:, :3]), wanted)
    left = weights(stack.members[2].module), dict(stack.members[2].gradients())
    for active, part_of in (([0, 1, 3], slice(3, 6)), ([1, 3], slice(6, 9))):
        wanted = whole.advance([0, 1, 2, 3], orders[:, part_of], factors[:, part_of])
        mine = stack.advance(active, orders[active, part_of], factors[active, part_of])
        equal(mine, wanted[active])
        val = parts[0].data.val
        equal(stack.evaluate(active, val), whole.evaluate([0, 1, 2, 3], val)[active])
    assert [len(block) for block in stack._blocks] == [1, 1]
    for name, tensor in weights(stack.members[2].module).items():
        assert torch.equal(tensor, left[0][name])
    for name, gradient in stack.members[2].gradients().items():
        assert torch.equal(gradient, left[1][name])
    for n in (1, 3):
        equal(weights(stack.members[n].module), weights(whole.members[n].module))
        equal(stack.members[n].gradients(), whole.members[n].gradients())


def test_a_restored_run_goes_on_from_there_and_its_neighbours_do_not_notice():
    parts = [part(n, dropout=0.5) for n in range(2)]
    stack = Vmapped(parts, False)
    orders, factors = rows_of(parts, 3), factors_of(2, 3)
    before = stack.members[0].snapshot()
    stack.advance([0, 1], orders, factors)
    neighbour = weights(stack.members[1].module)
    stack.members[0].restore(before)
    assert all(map(torch.equal, stack.members[0].snapshot().values(), before.values()))
    assert all(map(torch.equal, weights(stack.members[1].module).values(), neighbour.values()))
    shown = stack.members[0].objective.evaluate(parts[0].module, parts[0].data.val)
    equal(stack.evaluate([0], parts[0].data.val)[0].tolist(), list(shown.values()))


def test_nothing_moves_while_the_stack_is_made():
    parts = [part(n, entry, norm=BatchNorm1d, dropout=0.5) for n, entry in enumerate(STEADY)]
    before = [weights(own.module) for own in parts]
    params = [list(own.module.parameters()) for own in parts]
    Vmapped(parts, False)
    for own, old, objects in zip(parts, before, params, strict=True):
        assert all(map(torch.equal, weights(own.module).values(), old.values()))
        assert all(a is b for a, b in zip(own.module.parameters(), objects, strict=True))


def test_numbers_that_differ_share_a_slice_and_networks_that_differ_in_weights_a_branch():
    lrs = (0.1, 0.01, 0.001)
    parts = [part(n, lr=lr, regularizer=Regularizer(l2=lr)) for n, lr in enumerate(lrs)]
    parts += [part(3, regularizer=Regularizer(l2=0.1), activation=LeakyReLU)]
    parts += [part(4, amsgrad=True), part(5, AdamW), part(6, activation=PReLU)]
    stack = Vmapped(parts, False)
    assert [[s.stop - s.start for s in block.slices] for block in stack._blocks] == [[4, 1, 1], [1]]
    assert [block.sizes for block in stack._blocks] == [[5, 1], [1]]


def test_a_loss_in_float32_is_averaged_in_float64():
    parts = [part(n, dtype=torch.float32) for n in range(2)]
    stack, values, means = trained(parts)
    assert (values.dtype, means.dtype) == (torch.float32, torch.float64)
    assert {p.dtype for own in parts for p in own.module.parameters()} == {torch.float32}
    assert SparseCCE is type(parts[0].objective.loss)
    assert stack.execution == "eager: torch.vmap over runs"


#: Models of every kind, on tasks that are quick to make; LSTM and RNN with dropout between layers.
MODELS = {
    "deep_linear": ("model=deep_linear", "task=blobs"),
    "linear": ("model=linear", "task=blobs"),
    "lstm": ("model=lstm", "task=echo", "model.layers=2", "model.dropout=0.25"),
    "mlp": ("model=mlp", "task=line"),
    "point": ("model=point", "task=rosenbrock"),
    "resnet": ("model=resnet", "task=digits", "norm=batchnorm"),
    "rnn": ("model=rnn", "task=adding"),
    "small_cnn": ("model=small_cnn", "task=digits"),
    "transformer": ("model=transformer", "task=reversal"),
    "window_mlp": ("model=window_mlp", "task=recall"),
}


def test_every_model_is_among_those_that_are_stacked():
    """A perceptron is trained by its own rule, one row after the other (`optlab.models`)."""
    assert {*MODELS, "perceptron"} == set(registry.models)


@pytest.mark.parametrize("name", MODELS)
def test_runs_of_a_model_are_one_branch_and_equal_the_run_alone(name):
    model, task, *options = MODELS[name]
    common = (model, *options, "trainer.dtype=float64", "trainer.batch_size=6")
    seeds = tuple((f"seed={seed}", f"optimizer.lr={0.001 * (1 + seed)}") for seed in (0, 1, 2))
    parts = configured(common, seeds, task.removeprefix("task="))
    alone = [own.run() for own in again(parts)]
    stack, orders = Vmapped(parts, False), rows_of(parts, 3)
    assert [block.sizes for block in stack._blocks] == [[3]]
    values = stack.advance([0, 1, 2], orders, factors_of(3, 3))
    for run, single in enumerate(alone):
        single.module.train()
        order = [None] * 3 if orders is None else orders[run]
        steps = zip(order, factors_of(3, 3)[run].tolist(), strict=True)
        equal(values[run], torch.stack([torch.stack(single.step(*step)) for step in steps]))
        pair = weights(stack.members[run].module), weights(single.module)
        assert pair[0].keys() == pair[1].keys()
        for name_of, tensor in pair[1].items():
            equal(pair[0][name_of], tensor)


def test_what_cannot_be_stacked_is_refused_with_its_reason():
    foreign = replace(part(0), optimizer={"target": "torch.optim.SGD"})
    plain = replace(part(0), trainer=TrainerConfig(engine="plain"))
    looking = replace(part(0), module=Looking(), structure="Looking")
    for own, reason in [
        (foreign, r"optimizer torch\.optim\.SGD is no rule of optlab"),
        (plain, r"trainer\.engine=plain trains a module and an optimizer object"),
        (looking, r"torch\.vmap refuses the network or the rule: RuntimeError: .*"),
    ]:
        with pytest.raises(NotStackable, match=reason):
            Vmapped([part(1), own], False)


class Looking(nn.Module):
    """Asks for the value of a tensor, which is another one for every run."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3, dtype=torch.float64)

    def forward(self, x):
        y = self.linear(x)
        return y if y.sum().item() > 0 else -y


def test_a_rule_that_is_none_is_refused_as_it_is_alone():
    claims = type("Claims", (Adam,), {"rule": replace(LAMB.rule, elementwise=True)})
    with pytest.raises(ConfigError, match="claims elementwise=True"):
        Vmapped([part(0, claims)], False)
