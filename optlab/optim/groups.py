"""Parameter groups: the options of a rule under torch's names, bound and checked group by group.

A group of a `torch.optim.Optimizer` is a dict. Here its keys are the fields of the rule's `Hyper`
(packed as torch packs them: ``betas``), then the `GradientOptions`. The signature, the docstring
and the checks of every optimizer class derive from these two dataclasses.
"""

import inspect
from collections.abc import Mapping
from dataclasses import KW_ONLY, Field, dataclass, fields
from typing import Any, get_type_hints

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from optlab.config import ConfigError, unknown_name, validate
from optlab.optim.rule import Hyper
from optlab.types import NonNegative

#: Keys that torch, its schedulers and people's labels put into a group beside the options.
ANNOTATIONS = frozenset(
    {"params", "param_names", "name", "initial_lr", "max_lr", "min_lr", "swa_lr"}
    | {"base_momentum", "max_momentum"}
)

#: Options that choose an implementation of the same update: those of the optimizer here count.
IMPLEMENTATION = frozenset({"fast", "foreach", "fused", "capturable", "differentiable"})

_ANYWHERE = inspect.Parameter.POSITIONAL_OR_KEYWORD


@dataclass(frozen=True)
class GradientOptions:
    """What is done before the rule, for every rule alike and as in torch.

    A rule whose paper has a decay of its own (AdamW, Lion) takes ``weight_decay`` as one of its
    hyperparameters; of these options its class has ``maximize`` only.

    Attributes:
        weight_decay: Decay of the parameters.
        decoupled_weight_decay: How they decay: ``weight_decay * param`` is added to the gradient
            (False), or the parameter is multiplied by ``1 - lr * weight_decay`` (True).
        maximize: Climb instead of descend: the gradient's sign is flipped before the decay.
        capturable: Keep counters on the parameters' device, as tensors, so that a CUDA graph of a
            step counts when it is replayed. A number such as lr must then be a tensor on that
            device to be changed between replays.
        fast: Update through compiled kernels: None where possible on the CPU, False never, True
            (also on CUDA) or an error where there are none. A single gradient with other strides
            than its parameter is updated eagerly all the same.
    """

    _: KW_ONLY
    weight_decay: NonNegative = 0.0
    decoupled_weight_decay: bool = False
    maximize: bool = False
    capturable: bool = False
    fast: bool | None = None

    def __post_init__(self) -> None:
        validate(self, "optimizer")


def layout(hyper: type[Hyper]) -> dict[str, tuple[str, ...]]:
    """Return, by torch's name and in order, the fields of ``hyper`` that each option holds."""
    owner = {field: name for name, members in hyper.PACKED.items() for field in members}
    names = dict.fromkeys(owner.get(field.name, field.name) for field in fields(hyper))
    return {name: hyper.PACKED.get(name, (name,)) for name in names}


def gradient_options(hyper: type[Hyper]) -> list[Field[Any]]:
    """Return the `GradientOptions` that a class has beside the fields of its rule's ``hyper``."""
    own = {field.name for field in fields(hyper)}
    taken = {"weight_decay", "decoupled_weight_decay"} if "weight_decay" in own else set()
    return [field for field in fields(GradientOptions) if field.name not in taken]


def pack(hyper: Hyper) -> dict[str, Any]:
    """Return hyperparameters as a group holds them."""
    return {
        name: tuple(getattr(hyper, field) for field in members)
        if name in hyper.PACKED
        else getattr(hyper, name)
        for name, members in layout(type(hyper)).items()
    }


def signature_of(hyper: type[Hyper]) -> inspect.Signature:
    """Return the signature of an optimizer class: params, hyperparameters, gradient options."""
    by_name = {field.name: field for field in fields(hyper)}
    hints = get_type_hints(hyper)
    first = inspect.Parameter("params", _ANYWHERE, annotation=ParamsT)
    parameters = [first]
    for name, members in layout(hyper).items():
        default: Any = tuple(by_name[m].default for m in members)
        annotation: Any = tuple.__class_getitem__(tuple(hints[m] for m in members))
        if name not in hyper.PACKED:
            default, annotation = default[0], hints[name]
        parameters.append(_parameter(name, by_name[members[0]], default, annotation))
    hints = get_type_hints(GradientOptions)
    for field in gradient_options(hyper):
        parameters.append(_parameter(field.name, field, field.default, hints[field.name]))
    return inspect.Signature(sorted(parameters, key=lambda p: p.kind))


def bind(
    name: str, signature: inspect.Signature, elsewhere: Mapping[str, str], args: Any, kwargs: Any
) -> dict[str, Any]:
    """Return every option of an optimizer class called with ``args`` and ``kwargs``.

    Args:
        name: Name of the class.
        signature: Its signature.
        elsewhere: Options that torch's class has, and what stands in their place here.
        args: Positional arguments after the parameters.
        kwargs: Keyword arguments.

    Raises:
        ConfigError: For an unknown option, naming the nearest known one.
        TypeError: For too many positional arguments.
    """
    known = [option for option in signature.parameters if option != "params"]
    for option in kwargs:
        if option in elsewhere and option not in known:
            raise ConfigError(f"{name} has no option {option!r}: {elsewhere[option]}")
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
    bound = signature.bind(None, *args, **kwargs)
    bound.apply_defaults()
    return {option: bound.arguments[option] for option in known}


def refuse_reserved(name: str, hyper: type[Hyper]) -> None:
    """Raise a `ConfigError` for a hyperparameter whose name means something else in a group."""
    common = {field.name for field in gradient_options(hyper)}
    for option in (*layout(hyper), *(field.name for field in fields(hyper))):
        if option in common | ANNOTATIONS | IMPLEMENTATION:
            raise ConfigError(
                f"a hyperparameter of {name} is called {option!r}, which every parameter group has "
                "for another purpose; call it otherwise"
            )


def refuse_unknown(name: str, group: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` for a key that is neither an option nor an annotation."""
    for key in group:
        if key not in options and key not in ANNOTATIONS:
            raise unknown_name(f"option of a parameter group of {name}", str(key), options)


def refuse_unsupported(name: str, params: list[Tensor]) -> None:
    """Raise a `ConfigError` for parameters that no update could take."""
    for param in params:
        if param.is_complex():
            raise ConfigError(
                f"{name} does not support complex parameters; optimize torch.view_as_real(param), "
                "which has a last axis of size 2"
            )
        if param.layout is not torch.strided:
            raise ConfigError(
                f"{name} does not support sparse parameters, got {param.layout}; optimize "
                "param.to_dense()"
            )
        if not param.is_floating_point():
            raise ConfigError(
                f"{name} updates floating-point parameters, got {param.dtype}; leave it out or "
                "convert it with param.float()"
            )


def read(hyper: type[Hyper], group: Mapping[str, Any]) -> tuple[Hyper, GradientOptions]:
    """Return the checked options of a group.

    Tensors of one element stay tensors, as 0-d views, so that later writes to them are seen; their
    values are checked where that costs no copy from a device.

    Raises:
        ConfigError: For a value out of range or of the wrong kind.
    """
    values: dict[str, Any] = {}
    for name, members in layout(hyper).items():
        values.update(zip(members, _members(hyper, name, group[name]), strict=True))
    tensors = {name: _scalar(name, v) for name, v in values.items() if isinstance(v, Tensor)}
    on_cpu = {name: v.item() for name, v in tensors.items() if v.device.type == "cpu"}
    numbers = {**values, **tensors, **on_cpu}
    checked = hyper(**{**numbers, "lr": _without_rounding(numbers["lr"])})
    options = {field.name: group[field.name] for field in gradient_options(hyper)}
    if isinstance(options.get("weight_decay"), Tensor):
        decay = options["weight_decay"] = _scalar("weight_decay", options["weight_decay"])
        if decay.device.type == "cpu":
            GradientOptions(weight_decay=decay.item())
    return checked.with_values(**tensors) if tensors else checked, GradientOptions(**options)


def document(summary: str | None, hyper: type[Hyper]) -> str:
    """Return the docstring of an optimizer class: its own, and what its arguments mean."""
    lines = [
        "    params: Parameters, named parameters, or dicts of them with options of their own.",
        *(f"    {name}: {', '.join(members)}." for name, members in hyper.PACKED.items()),
        *_attributes(hyper),
        *_attributes_of_options(hyper),
    ]
    return "\n".join([inspect.cleandoc(summary or ""), "", "Args:", *lines])


def _parameter(name: str, field: Field[Any], default: Any, annotation: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY if field.kw_only else _ANYWHERE
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _members(hyper: type[Hyper], name: str, value: Any) -> tuple[Any, ...]:
    """Return the fields' values held by one option of a group."""
    members = hyper.PACKED.get(name)
    if members is None:
        return (value,)
    if not isinstance(value, tuple | list) or len(value) != len(members):
        raise ConfigError(
            f"{name} must be {len(members)} numbers ({', '.join(members)}), got {value!r} "
            f"(optimizer.{name})"
        )
    return tuple(value)


def _without_rounding(lr: Any) -> Any:
    """Return 0 for the -5e-18 at which torch's LinearLR ends when it should end at 0."""
    return 0.0 if isinstance(lr, float) and -1e-12 < lr < 0 else lr


def _scalar(name: str, value: Tensor) -> Tensor:
    if value.numel() != 1:
        raise ConfigError(
            f"Tensor {name} must be 1-element, got shape {tuple(value.shape)} (optimizer.{name})"
        )
    # A 0-d tensor itself, so that a new `.data` of it is seen as well.
    return value if value.ndim == 0 and not value.requires_grad else value.detach().reshape(())


def _attributes(owner: type) -> list[str]:
    """Return the lines that describe the fields of a dataclass in its docstring."""
    return (inspect.getdoc(owner) or "").partition("Attributes:\n")[2].splitlines()


def _attributes_of_options(hyper: type[Hyper]) -> list[str]:
    """Return the lines of `_attributes` about the gradient options that a class has."""
    known, kept = {field.name for field in gradient_options(hyper)}, True
    lines = []
    for line in _attributes(GradientOptions):
        if line.startswith("    ") and not line.startswith("     "):
            kept = line.strip().partition(":")[0] in known
        if kept:
            lines.append(line)
    return lines
