"""The state dict of an optimizer: torch's layout, read strictly and without loss.

Where a rule is that of torch's own class, each loads what the other saved. Numbers (lr, betas) come
from the file, as in torch. A *form*, an option that is no number (``eps_placement``,
``lr_in_buffer``), is part of the method: it must agree, and a file without it was saved by torch's
class, whose form is known (``torch_form``).

Parameters are matched by name where both sides have names (``model.named_parameters()``), so that
two of the same shape never swap their states; torch goes by their order whatever their names.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from optlab.config import ConfigError
from optlab.optim.apply import first_state
from optlab.optim.groups import IMPLEMENTATION, GradientOptions, layout
from optlab.optim.rule import Hyper, Rule

Group = dict[str, Any]


def add_torch_keys(group: Group, rule: Rule, torch_form: Mapping[str, Any]) -> None:
    """Write into a saved group what torch's own class would keep there.

    A group whose form is not torch's is left as it is.
    """
    if all(group[name] == value for name, value in torch_form.items()):
        for name, value in (rule.torch_group or {}).items():
            group.setdefault(name, value)


def read_group(
    saved: Mapping[str, Any], current: Group, rule: Rule, torch_form: Mapping[str, Any]
) -> Group:
    """Return the group to use after loading: saved numbers, current parameters and names.

    Raises:
        ConfigError: When the saved group belongs to another method or another form of this one, or
            names other parameters.
    """
    _same_names(saved, current)
    group = {
        name: deepcopy(value)
        for name, value in saved.items()
        if name != "params" and name not in IMPLEMENTATION
    }
    for name, value in (rule.torch_group or {}).items():
        if group.pop(name, value) != value:
            raise ConfigError(
                f"the loaded state dict was saved with {name}={saved[name]!r}, this optimizer is "
                f"the method with {name}={value!r}; load it with an optimizer of its own kind"
            )
    for name in layout(rule.hyper):
        if name not in group and name not in torch_form:
            raise ConfigError(
                f"the loaded state dict has no {name!r} in a parameter group; "
                "load one that was saved by the same optimizer"
            )
    for name in _forms(rule.hyper):
        if group.setdefault(name, torch_form.get(name)) != current[name]:
            raise ConfigError(
                f"the loaded state dict was saved with {name}={group[name]!r}, this optimizer has "
                f"{name}={current[name]!r}; create it with {name}={group[name]!r}"
            )
    own = {key: current[key] for key in ("params", "param_names") if key in current}
    return current | group | own


def read_state(
    saved_state: Mapping[Any, Mapping[str, Any]],
    saved_groups: Sequence[Mapping[str, Any]],
    groups: Sequence[Group],
    rule: Rule,
    options: Sequence[tuple[Hyper, GradientOptions]],
) -> dict[Tensor, dict[str, Any]]:
    """Return the state by parameter; without names on both sides parameters match by their order.

    Raises:
        ConfigError: For a state of other parameters, other shapes or another rule.
    """
    state, left = {}, set(saved_state)
    for saved, group, chosen in zip(saved_groups, groups, options, strict=True):
        for key, name, param in _matched(saved, group):
            if saved_state.get(key):
                like = first_state(rule, param, *chosen)
                state[param] = _read_entry(saved_state[key], like, f"parameter {name}")
            left.discard(key)
    if left:
        raise ConfigError(f"the loaded state dict has state of unknown parameters {sorted(left)}")
    return state


def same_length(saved: Sequence[Mapping[str, Any]], groups: Sequence[Group]) -> None:
    """Raise a `ConfigError` when groups or their parameters differ in number."""
    if len(saved) != len(groups):
        raise ConfigError(
            "loaded state dict has a different number of parameter groups: "
            f"{len(saved)} saved, {len(groups)} here"
        )
    for index, (old, new) in enumerate(zip(saved, groups, strict=True)):
        if len(old["params"]) != len(new["params"]):
            raise ConfigError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                f"optimizer's group: group {index} has {len(old['params'])} parameters saved, "
                f"{len(new['params'])} here"
            )


def _names(group: Mapping[str, Any]) -> list[str]:
    """Return the names of a group's parameters; none if one name stands for two parameters."""
    names = list(group.get("param_names", []))
    return names if len(set(names)) == len(names) else []


def _same_names(saved: Mapping[str, Any], current: Group) -> None:
    """Raise a `ConfigError` when both sides name their parameters, but differently."""
    old, new = _names(saved), _names(current)
    if old and new and set(old) != set(new):
        raise ConfigError(
            f"the loaded state dict names its parameters {_beyond(old, new)}, where this optimizer "
            f"has {_beyond(new, old)}; rename them in 'param_names' of its groups, or delete "
            "'param_names' there to match parameters by their order"
        )


def _beyond(names: Sequence[str], others: Sequence[str]) -> str:
    """Return for a message the names that the others have not, the first few of them."""
    extra = [repr(name) for name in names if name not in set(others)]
    return ", ".join(extra[:3]) + f" and {len(extra) - 3} more" * (len(extra) > 3) or "no others"


def _matched(saved: Mapping[str, Any], group: Group) -> list[tuple[Any, Any, Tensor]]:
    """Return the key of each parameter in the saved state, its name in messages, and itself."""
    keys, names = list(saved["params"]), _names(group)
    if names and _names(saved):
        by_name = dict(zip(saved["param_names"], keys, strict=True))
        keys = [by_name[name] for name in names]
    return list(zip(keys, map(repr, names) if names else keys, group["params"], strict=True))


def _read_entry(
    saved: Mapping[str, Any], like: Mapping[str, Tensor], owner: str
) -> dict[str, Tensor]:
    """Return copies of the saved tensors with their values exact."""
    if set(saved) != set(like):
        raise ConfigError(
            f"the loaded state of {owner} has entries {sorted(saved)}, expected {sorted(like)}; "
            "load a state dict that was saved by the same optimizer"
        )
    entry = {}
    for name, target in like.items():
        value = saved[name]
        if not isinstance(value, Tensor):
            value = torch.as_tensor(value, device="cpu")
        if value.shape != target.shape:
            raise ConfigError(
                f"the loaded {name!r} of {owner} has shape {tuple(value.shape)}, the parameter "
                f"needs {tuple(target.shape)}; check the order of the parameters"
            )
        # A wider saved dtype is kept (torch would cast to the parameter's, pytorch issue 43706).
        dtype = torch.promote_types(value.dtype, target.dtype)
        entry[name] = value.detach().to(target.device, dtype, copy=True)
    return entry


def _forms(hyper: type[Hyper]) -> set[str]:
    return {field.name for field in fields(hyper) if isinstance(field.default, bool | str)}
