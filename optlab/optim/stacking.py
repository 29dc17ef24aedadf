"""Small tensors of one shape updated as one, for rules that look at whole tensors.

Such a rule has no formula per element, and hence no kernel. One tensor after the other, a network
of many small layers spends its time between operations; `torch.vmap` of the rule over a stack of
tensors does each operation once. Sums and products may add in another order than for one tensor.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.optim.apply import updated
from optlab.optim.fast.group import States
from optlab.optim.groups import GradientOptions
from optlab.optim.rule import Hyper, Rule

#: Tensors of one shape from which a stack is quicker (a vmapped operation costs four plain ones).
LEAST = 6
#: Elements of a tensor up to which it is worth copying into a stack.
LARGEST = 2**16
#: Elements of a whole stack, which is memory on top of the optimizer's.
MOST = 2**22


def stacks_of(
    rule: Rule, params: Iterable[Tensor], states: States
) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Return stacks of parameters that are alike, and those that are left over.

    Alike are parameters of one shape, dtype and device, with states of one layout and equal
    scalars, which may then be Python numbers for all.
    """
    alike: defaultdict[tuple[Any, ...], list[Tensor]] = defaultdict(list)
    for param in params:
        alike[_kind(rule, param, states.get(param, {}))].append(param)
    stacks, rest = [], []
    for members in alike.values():
        size = members[0].numel()
        if len(members) < LEAST or not 0 < size <= LARGEST:
            rest += members
            continue
        most = MOST // size
        stacks += [members[i : i + most] for i in range(0, len(members), most)]
    return stacks, rest


@torch.no_grad()
def stacked_step(
    rule: Rule, params: Sequence[Tensor], states: States, hyper: Hyper, options: GradientOptions
) -> None:
    """Update parameters of one stack; nothing has moved where this raises."""
    own = [states.get(param, {}) for param in params]
    scalars = {n: v.item() for n, v in own[0].items() if n in rule.scalars}
    # Other entries than tensors are a user's notes, and those that no rule returns stay.
    names = [n for n, v in own[0].items() if n not in scalars and isinstance(v, Tensor)]
    fresh: dict[str, Any] = {}

    def one(grad: Tensor, param: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        new_param, new = updated(rule, grad, param, {**state, **scalars}, hyper, options)
        fresh.update((name, new[name]) for name in scalars)
        return new_param, [new.get(name, state[name]) for name in names]

    grads = torch.stack([param.grad for param in params if param.grad is not None])
    stacked = {name: torch.stack([state[name] for state in own]) for name in names}
    new_params, entries = torch.vmap(one)(grads, torch.stack(list(params)), stacked)
    torch._foreach_copy_(list(params), list(new_params.unbind()))
    for name, entry in zip(names, entries, strict=True):
        torch._foreach_copy_([state[name] for state in own], list(entry.unbind()))
    for name, value in fresh.items():
        for state in own:
            state[name].fill_(value)


def _kind(rule: Rule, param: Tensor, state: dict[str, Any]) -> tuple[Any, ...]:
    """Return what is equal for the members of a stack."""
    entries: list[Any] = []
    for name, value in state.items():
        if name in rule.scalars:
            # Nobody waits for a number on a device: such a tensor is like no other.
            entries.append((name, value.item() if value.device.type == "cpu" else id(value)))
        elif isinstance(value, Tensor):
            entries.append((name, value.shape, value.dtype))
    return param.shape, param.dtype, param.device, *entries
