"""What one update and one evaluation of a block do to its tensors, by `torch.vmap` over runs.

These functions can be traced: what they look at of a block decides nothing but the operations, and
every tensor is an argument.

Shapes: runs R of the block, runs n of a branch or slice, rows of a batch B, values M (the loss and
the metrics).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from optlab.train.stack.vmapped.block import Block, Slice, Stacked
from optlab.train.step import Batch, States, Tensors


def advance(
    block: Block, tensors: Stacked, x: Tensor, y: Tensor, rows: Tensor | None, factors: Tensor
) -> tuple[Tensor, Tensors]:
    """Make one update of every run in place, but for counted ones (`finish`).

    Args:
        block: The runs.
        tensors: Its tensors.
        x: Inputs of the training rows.
        y: Their targets.
        rows: Row numbers of each run's batch, (R, B); None stands for all rows.
        factors: Of each run's learning rate, (R,), float64.

    Returns:
        Loss and metrics of each batch before the update, (R, M), and the gradients of the loss.
    """
    parts = []
    for i, function in enumerate(block.functions):
        params, buffers = _branch(block, tensors, i, (tensors.params, tensors.buffers))
        own = None if rows is None else _branch(block, tensors, i, rows)
        batch = _batch(x, y, own, block.sizes[i])
        parts.append(_over_runs(function.gradient, block.sizes[i], params, buffers, batch))
    grads, buffers, values = _together(block, tensors, parts)
    for i, part in enumerate(block.slices):
        if not part.update.is_counted:
            _update(part, i, tensors, grads, factors)
    tree_map(lambda old, new: old.copy_(new), tensors.buffers, buffers)
    return torch.stack(values, 1), grads


def finish(block: Block, grads: Tensors, factors: Tensor) -> None:
    """Make the counted updates, in place; ``grads`` are those that `advance` returned."""
    for i, part in enumerate(block.slices):
        if part.update.is_counted:
            _update(part, i, block.tensors, grads, factors)


def iterates(block: Block, factors: Tensor) -> Tensors:
    """Return the parameters at which runs are evaluated, (R, ...)."""
    t = block.tensors
    if all(part.update.rule.iterate is None for part in block.slices):
        return t.params
    parts = [_iterate(part, i, t, factors) for i, part in enumerate(block.slices)]
    return {name: torch.cat([params[name] for params in parts]) for name in t.params}


def evaluate(block: Block, tensors: Stacked, params: Tensors, x: Tensor, y: Tensor) -> Tensor:
    """Return the means over rows of each run's loss and metrics, (R, M), float64."""
    parts = []
    for i, function in enumerate(block.functions):
        weights = _branch(block, tensors, i, (params, tensors.buffers))
        batch = _batch(x, y, None, block.sizes[i])
        parts.append(_over_runs(function.values, block.sizes[i], *weights, *batch))
    values: Tensor = _together(block, tensors, parts)
    return values


def _over_runs(function: Callable[..., Any], runs: int, *arguments: Any) -> Any:
    """Return `torch.vmap` of a function; one run is computed twice, and once given.

    A compiler drops an axis of one, and then adds in another order than for several runs.
    """
    if runs > 1:
        return torch.vmap(function)(*arguments)
    twice = tree_map(lambda tensor: torch.cat([tensor, tensor]), arguments)
    return tree_map(lambda tensor: tensor[:1], torch.vmap(function)(*twice))


def _branch(block: Block, tensors: Stacked, i: int, tree: Any) -> Any:
    """Return the runs of branch ``i`` of every tensor."""
    if len(block.functions) == 1:
        return tree
    if block.is_sorted:
        return tree_map(lambda t: t.narrow(0, sum(block.sizes[:i]), block.sizes[i]), tree)
    return tree_map(lambda t: t.index_select(0, tensors.places[i]), tree)


def _together(block: Block, tensors: Stacked, parts: list[Any]) -> Any:
    """Undo `_branch`: return what all branches gave, in the order of the run axis."""
    if len(parts) == 1:
        return parts[0]

    def joined(*pieces: Tensor) -> Tensor:
        whole = torch.cat(pieces)
        return whole if block.is_sorted else whole.index_select(0, tensors.back)

    return tree_map(joined, *parts)


def _batch(x: Tensor, y: Tensor, rows: Tensor | None, runs: int) -> Batch:
    """Return inputs and targets of each run, (n, B, ...).

    Rows that all runs share are given to each as its own: products of one matrix with all runs'
    weights side by side could add in an order that depends on their number.
    """
    if rows is not None:
        return x[rows], y[rows]
    return x.expand(runs, *x.shape), y.expand(runs, *y.shape)


def _update(part: Slice, i: int, tensors: Stacked, grads: Tensors, factors: Tensor) -> None:
    states = tensors.states[i]
    found: States = {}
    varied, shared = _apart(states)

    def one(
        grads: Tensors, params: Tensors, varied: States, numbers: Tensors, strengths: Tensors
    ) -> tuple[Tensors, States]:
        whole = _whole(varied, shared)
        new_params, new = part.update(grads, params, whole, numbers, strengths)
        new_varied, new_shared = _apart(new)
        found.update(new_shared)
        return new_params, new_varied

    numbers = _scheduled(part, i, tensors, factors)
    params = part.of(tensors.params)
    own = (part.of(grads), params, varied, numbers, tensors.strengths[i])
    new_params, new_states = _over_runs(one, part.stop - part.start, *own)
    tree_map(lambda old, new: old.copy_(new), params, new_params)
    for name, state in new_states.items():
        for entry, new in state.items():
            if entry in varied[name]:
                varied[name][entry].copy_(new)
            else:
                states[name][entry] = new
        states[name].update(found[name])


def _iterate(part: Slice, i: int, tensors: Stacked, factors: Tensor) -> Tensors:
    params: Tensors = part.of(tensors.params)
    iterate = part.update.rule.iterate
    if iterate is None:
        return params
    varied, shared = _apart(tensors.states[i])

    def one(params: Tensors, varied: States, numbers: Tensors) -> Tensors:
        hyper, states = part.update.hyper.with_values(**numbers), _whole(varied, shared)
        return {name: iterate(param, states[name], hyper) for name, param in params.items()}

    own = (params, varied, _scheduled(part, i, tensors, factors))
    points: Tensors = torch.vmap(one)(*own)
    return points


def _scheduled(part: Slice, i: int, tensors: Stacked, factors: Tensor) -> Tensors:
    """Return the hyperparameters of a slice under the factors of the learning rates."""
    numbers: Tensors = tensors.numbers[i]
    return {**numbers, "lr": numbers["lr"] * factors[part.start : part.stop]}


def _apart(states: States) -> tuple[States, States]:
    """Return the tensors among the entries of states, and the Python numbers."""
    tensors = {
        name: {entry: v for entry, v in state.items() if isinstance(v, Tensor)}
        for name, state in states.items()
    }
    numbers = {
        name: {entry: v for entry, v in state.items() if not isinstance(v, Tensor)}
        for name, state in states.items()
    }
    return tensors, numbers


def _whole(tensors: States, numbers: States) -> States:
    return {name: {**state, **numbers[name]} for name, state in tensors.items()}
