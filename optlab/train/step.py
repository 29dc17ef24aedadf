"""One update of one run as a pure function: state in, state out.

This is the definition of training in optlab. `torch.vmap` of `run_step` trains a stack of runs,
each with its own hyperparameters and batch; `torch.compile` of that makes it fast.
`optlab.train.functional` executes the same pieces for one run, in place and without a compiler.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from optlab.optim.math import is_zero
from optlab.optim.regularizers import (
    Regularizer,
    clip_by_norm,
    clip_by_value,
    decay_step,
    is_weight,
    penalty_gradient,
)
from optlab.optim.rule import Rule, with_fields
from optlab.train.objective import Objective

Tensors = dict[str, Tensor]
States = dict[str, dict[str, Any]]


class RunState(NamedTuple):
    """All that changes while a run trains; every leaf is a tensor, so runs can be stacked."""

    params: Tensors
    buffers: Tensors
    optimizer: States


Hyper = Mapping[str, Any]
Batch = tuple[Tensor, Tensor]
Gradient = Callable[[Tensors, Tensors, Batch], tuple[Tensors, Tensors, list[Tensor]]]
RunStep = Callable[[RunState, Hyper, Batch], tuple[RunState, list[Tensor]]]


def initial_state(module: nn.Module, rule: Rule, hyper: Any) -> RunState:
    """Return the state before the first update, on the parameters' device.

    Nothing is shared with ``module``.
    """
    params = {name: p.detach().clone() for name, p in module.named_parameters()}
    buffers = {name: b.detach().clone() for name, b in module.named_buffers()}
    # A step counter starts on the CPU, where an optimizer object wants it; a stack of runs cannot.
    optimizer = {
        name: {key: value.to(p.device) for key, value in rule.init_state(p, hyper).items()}
        for name, p in params.items()
    }
    return RunState(params, buffers, optimizer)


def regularized(
    grads: list[Tensor],
    params: list[Tensor],
    weights: list[Tensor | bool],
    regularizer: Regularizer,
    num_rows: int,
) -> list[Tensor]:
    """Add the penalties' gradient, then clip: first every entry, then the norm of the whole.

    Args:
        grads: Gradients of the loss.
        params: Parameters, one per gradient.
        weights: Per parameter, whether penalties apply: a flag, or a mask of its shape.
        regularizer: Strengths; those that are Python zeros or None cost nothing.
        num_rows: Training rows, the n of lambda/(2n).
    """
    r = regularizer
    if not (is_zero(r.l1) and is_zero(r.l2)):
        grads = [
            g if weight is False else g + penalty_gradient(_masked(p, weight), r.l1, r.l2, num_rows)
            for g, p, weight in zip(grads, params, weights, strict=True)
        ]
    if r.clip_value is not None:
        grads = clip_by_value(grads, r.clip_value)
    return grads if r.clip_norm is None else clip_by_norm(grads, r.clip_norm)


def decayed(param: Tensor, weight: Tensor | bool, lr: Any, regularizer: Regularizer) -> Tensor:
    """Return ``param`` after the decay step (REG-02), where it applies."""
    if is_zero(regularizer.decay) or weight is False:
        return param
    shrunk = decay_step(param, lr, regularizer.decay)
    return shrunk if weight is True else torch.where(weight, shrunk, param)


def make_gradient(module: nn.Module, objective: Objective) -> Gradient:
    """Return ``gradient(params, buffers, batch) -> (grads, buffers, [loss, *metrics])``, pure."""
    # A copy in training mode: whatever happens to ``module``, the result depends on arguments.
    template = copy.deepcopy(module).train()

    def loss_of(params: Tensors, buffers: Tensors, batch: Batch) -> tuple[Tensor, Tensor]:
        output = torch.func.functional_call(template, (params, buffers), (batch[0],))
        return objective.loss(output, batch[1]), output

    def gradient(
        params: Tensors, buffers: Tensors, batch: Batch
    ) -> tuple[Tensors, Tensors, list[Tensor]]:
        buffers = {name: b.clone() for name, b in buffers.items()}
        derive = torch.func.grad_and_value(loss_of, has_aux=True)
        grads, (loss, output) = derive(params, buffers, batch)
        return grads, buffers, objective.values(loss, output, batch[1])

    return gradient


def updated_params(
    grads: Tensors,
    params: Tensors,
    states: States,
    rule: Rule,
    numbers: Any,
    strengths: Regularizer,
    num_rows: int,
) -> tuple[Tensors, States]:
    """Return parameters and optimizer states after one update of a run.

    Args:
        grads: Gradients of the loss, by parameter name.
        params: Parameters.
        states: State of the rule for each parameter.
        rule: The rule.
        numbers: Its hyperparameters; floats may be 0-d tensors.
        strengths: What is done to gradients and parameters beside the rule, likewise.
        num_rows: Training rows.
    """
    weights: list[Tensor | bool] = [is_weight(p) for p in params.values()]
    ready = regularized(list(grads.values()), list(params.values()), weights, strengths, num_rows)
    new_params, new_states = {}, {}
    for (name, param), grad, weight in zip(params.items(), ready, weights, strict=True):
        param = decayed(param, weight, numbers.lr, strengths)
        new_params[name], new_states[name] = rule.update(grad, param, states[name], numbers)
    return new_params, new_states


def make_run_step(
    module: nn.Module,
    objective: Objective,
    rule: Rule,
    hyper: Any,
    regularizer: Regularizer,
    num_rows: int,
) -> RunStep:
    """Return ``run_step(state, values, batch) -> (state, [loss, *metrics])``, pure.

    ``values`` replaces float fields of ``hyper`` and of ``regularizer``; each may be a number or a
    0-d tensor, so that under `torch.vmap` every run has its own.
    """
    gradient = make_gradient(module, objective)

    def run_step(state: RunState, values: Hyper, batch: Batch) -> tuple[RunState, list[Tensor]]:
        numbers, strengths = with_fields(hyper, values), with_fields(regularizer, values)
        grads, buffers, measured = gradient(state.params, state.buffers, batch)
        params, optimizer = updated_params(
            grads, state.params, state.optimizer, rule, numbers, strengths, num_rows
        )
        return RunState(params, buffers, optimizer), measured

    return run_step


def _masked(param: Tensor, weight: Tensor | bool) -> Tensor:
    return param if weight is True else param * weight
