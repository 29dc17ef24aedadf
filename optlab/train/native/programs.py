"""The functions that a run is made of, compiled once for all runs that share them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from optlab.optim.math import is_zero
from optlab.optim.regularizers import Regularizer
from optlab.optim.rule import Hyper, Rule, with_fields
from optlab.train.functional import FunctionalRun
from optlab.train.native.function import Function, compiled
from optlab.train.native.modules import called, replacement
from optlab.train.objective import Objective
from optlab.train.step import decayed, regularized

_known: dict[Any, Any] = {}


@dataclass(frozen=True)
class Model:
    """What gradients and evaluations of runs have in common.

    Attributes:
        structure: Equal for runs whose modules differ in nothing but numbers in their parameters
            and buffers, and whose objectives are the same.
        module: One of their modules.
        objective: Their objective.
    """

    structure: str
    module: nn.Module
    objective: Objective

    def gradient(self, x: Tensor, y: Tensor, in_room: bool) -> Function:
        """Return the function of parameters, buffers and a batch that gives gradients.

        Its arguments are parameters, buffers, the batch (unless it lies in the room), gradients of
        the parameters, and the values of `Objective.values` as float64; buffers are written.

        Args:
            x: Inputs of a batch.
            y: Its targets.
            in_room: Whether batches are copied into the room.
        """
        key = ("gradient", self.structure, x.shape, y.shape, in_room)
        found: Function = once(key, lambda: self._gradient(x, y, in_room))
        return found

    def evaluation(self, x: Tensor, y: Tensor) -> Function:
        """Return the function of parameters, buffers and rows that gives values, in evaluation.

        Its arguments are parameters, buffers, the rows, and the values as float64.
        """
        key = ("evaluation", self.structure, x.shape, y.shape)
        found: Function = once(key, lambda: self._evaluation(x, y))
        return found

    @property
    def _tensors(self) -> list[Tensor]:
        parameters = [p.detach() for p in self.module.parameters()]
        return [*parameters, *self.module.buffers()]

    def _gradient(self, x: Tensor, y: Tensor, in_room: bool) -> Function:
        template = copy.deepcopy(self.module).train()
        learns = {name: p.requires_grad for name, p in template.named_parameters()}
        buffers = [name for name, _ in template.named_buffers()]

        def function(*tensors: Tensor) -> list[Tensor]:
            *state, x, y = tensors
            own = {
                name: p.detach().requires_grad_(flag)
                for (name, flag), p in zip(learns.items(), state, strict=False)
            }
            wanted = [p for p in own.values() if p.requires_grad]
            kept = {n: b.clone() for n, b in zip(buffers, state[len(own) :], strict=True)}
            used = own | kept
            # Not `torch.func.grad`, which imports PyTorch's compiler: a second.
            with torch.enable_grad():
                output = called(template, used, x, buffers)
                loss = self.objective.loss(output, y)
                found = iter(torch.autograd.grad(loss, wanted, materialize_grads=True))
            grads = [next(found) if p.requires_grad else torch.zeros_like(p) for p in own.values()]
            values = self.objective.values(loss.detach(), output.detach(), y)
            after = [replacement(name, used[name], kept[name]) for name in buffers]
            return [*after, *grads, *(v.to(torch.float64) for v in values)]

        inputs = [*self._tensors, x, y]
        p, b = len(learns), len(buffers)
        given = p + b + (0 if in_room else 2)
        slots = [*range(p + b), *([None, None] if in_room else [p + b, p + b + 1])]
        results = [*range(p, p + b), *range(given, given + p + len(self.objective.names))]
        return compiled(function, inputs, slots, results)

    def _evaluation(self, x: Tensor, y: Tensor) -> Function:
        template = copy.deepcopy(self.module).eval()
        names = [name for name, _ in template.named_parameters()]
        names += [name for name, _ in template.named_buffers()]

        def function(*tensors: Tensor) -> list[Tensor]:
            *state, x, y = tensors
            output = called(template, dict(zip(names, state, strict=True)), x)
            values = self.objective.values(self.objective.loss(output, y), output, y)
            return [v.to(torch.float64) for v in values]

        inputs = [*self._tensors, x, y]
        slots = list(range(len(inputs)))
        results = range(len(inputs), len(inputs) + len(self.objective.names))
        return compiled(function, inputs, slots, list(results))


@dataclass(frozen=True)
class Update:
    """What the updates of runs have in common, and the numbers of one of them.

    Attributes:
        function: Of blocks of parameters, their gradients, masks, the states, and the numbers.
        names: Which numbers it takes, in order: fields of the hyperparameters, then of the
            regularizer.
        entries: Names of each block's state.
    """

    function: Function
    names: tuple[str, ...]
    entries: tuple[tuple[str, ...], ...]


def update_of(run: FunctionalRun, regularizer: Regularizer, num_rows: int) -> Update:
    """Return the update of a run's flat parameters: penalties, clipping, decay and the rule."""
    hyper, rule = run.hyper, run.rule
    blocks, states = run.blocks, [run.states[block] for block in run.blocks]
    names = (*_numbers(hyper), *_numbers(regularizer))
    names = ("lr", *(name for name in names if name != "lr"))
    entries = tuple(tuple(state) for state in states)
    key = (
        *("update", rule.update, rule.scalars, type(hyper), _form(hyper), _form(regularizer)),
        *(names, entries, num_rows, tuple((b.shape, b.dtype) for b in blocks)),
        tuple(mask if isinstance(mask, bool) else "mask" for mask in run.weights),
    )
    return Update(
        once(key, lambda: _update(run, regularizer, num_rows, names, entries)), names, entries
    )


def _update(
    run: FunctionalRun,
    regularizer: Regularizer,
    num_rows: int,
    names: Sequence[str],
    entries: Sequence[Sequence[str]],
) -> Function:
    rule, hyper, count = run.rule, run.hyper, len(run.blocks)
    masked = [isinstance(mask, Tensor) for mask in run.weights]
    masks = [mask for mask in run.weights if isinstance(mask, Tensor)]
    states = [run.states[block] for block in run.blocks]
    given = [*run.blocks, *(torch.zeros_like(b) for b in run.blocks), *masks]
    given += [value for state in states for value in state.values()]
    given += [torch.zeros((), dtype=torch.float64) for _ in names]

    def function(*tensors: Tensor) -> list[Tensor]:
        waiting = iter(tensors)
        params = [next(waiting) for _ in range(count)]
        grads = [next(waiting) for _ in range(count)]
        weights = [
            next(waiting) if is_mask else mask
            for is_mask, mask in zip(masked, run.weights, strict=True)
        ]
        own = [{name: next(waiting) for name in block} for block in entries]
        values = dict(zip(names, waiting, strict=True))
        return _updated(
            rule,
            with_fields(hyper, values),
            with_fields(regularizer, values),
            params,
            grads,
            weights,
            own,
            num_rows,
        )

    first = 2 * count + len(masks)
    results = [*range(count), *range(first, first + sum(len(block) for block in entries))]
    return compiled(function, given, list(range(len(given))), results)


def _updated(
    rule: Rule,
    hyper: Any,
    regularizer: Regularizer,
    params: list[Tensor],
    grads: list[Tensor],
    weights: list[Tensor | bool],
    states: list[dict[str, Tensor]],
    num_rows: int,
) -> list[Tensor]:
    grads = regularized(grads, params, weights, regularizer, num_rows)
    fresh, kept = [], []
    for param, grad, weight, state in zip(params, grads, weights, states, strict=True):
        param = decayed(param, weight, hyper.lr, regularizer)
        new, new_state = rule.update(grad, param, state, hyper)
        fresh.append(new)
        kept += [torch.as_tensor(new_state.get(n, v)).to(v.dtype) for n, v in state.items()]
    return [*fresh, *kept]


def _numbers(options: Hyper | Regularizer) -> list[str]:
    """Return the fields that are numbers of a run: floats other than zero, which is a form."""
    return [
        field.name
        for field in fields(options)
        if isinstance(value := getattr(options, field.name), float) and not is_zero(value)
    ]


def _form(options: Any) -> tuple[Any, ...]:
    """Return what of the options is built into a program."""
    numbers = set(_numbers(options))
    return tuple(
        (field.name, getattr(options, field.name))
        for field in fields(options)
        if field.name not in numbers
    )


def once(key: Any, make: Any) -> Any:
    """Return what was made for a key, or make it."""
    if key not in _known:
        _known[key] = make()
    return _known[key]
