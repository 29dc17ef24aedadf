"""One step of one tensor as an optimizer class makes it: precision, options, rule. Pure."""

import functools

import torch
from torch import Tensor

from optlab.optim.groups import GradientOptions
from optlab.optim.math import is_zero
from optlab.optim.regularizers import decay_step
from optlab.optim.rule import Hyper, NewState, Rule, State

_LOW = (torch.float16, torch.bfloat16)


def in_working_precision(tensor: Tensor) -> Tensor:
    """Return float16 and bfloat16 tensors as float32, in which their state and update are kept.

    In float16 the default eps of 1e-8 is zero, and Adam divides 0 by 0.
    """
    return tensor.float() if tensor.dtype in _LOW else tensor


def first_state(
    rule: Rule, param: Tensor, hyper: Hyper, options: GradientOptions
) -> dict[str, Tensor]:
    """Return the state before the first update, in working precision."""
    state = rule.init_state(in_working_precision(param.detach()), hyper)
    if options.capturable:
        state |= {name: state[name].to(param.device) for name in rule.scalars if name in state}
    return state


def updated(
    rule: Rule, grad: Tensor, param: Tensor, state: State, hyper: Hyper, options: GradientOptions
) -> tuple[Tensor, NewState]:
    """Return the parameter in working precision and the state after one step.

    Args:
        rule: The update.
        grad: Gradient, of the shape and dtype of ``param``.
        param: Parameter.
        state: State in working precision; its scalars may be Python numbers.
        hyper: Hyperparameters.
        options: What is done before the rule.
    """
    point, g = in_working_precision(param), in_working_precision(grad)
    if not rule.elementwise:
        point, g, state = _in_one_dtype(rule, point, g, state)
    if options.maximize:
        g = -g
    if not is_zero(options.weight_decay):
        if options.decoupled_weight_decay:
            point = decay_step(point, hyper.lr, options.weight_decay)
        else:
            g = g + options.weight_decay * point
    return rule.update(g, point, state, hyper)


def _in_one_dtype(
    rule: Rule, param: Tensor, grad: Tensor, state: State
) -> tuple[Tensor, Tensor, State]:
    """Return the tensors in the widest dtype among them; products of matrices need one.

    They differ when a module was given another dtype, or a state saved in another was loaded.
    """
    entries = {
        name: value
        for name, value in state.items()
        if name not in rule.scalars and isinstance(value, Tensor)  # others are a user's notes
    }
    kinds = {value.dtype for value in entries.values()} | {param.dtype}
    if len(kinds) == 1:
        return param, grad, state
    widest = functools.reduce(torch.promote_types, kinds)
    wide = {name: value.to(widest) for name, value in entries.items()}
    return param.to(widest), grad.to(widest), {**state, **wide}
