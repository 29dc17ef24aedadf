"""A rule tried on small tensors before a training trusts it with its own.

A driver that lays parameters end to end would train a rule that looks at whole tensors silently
wrong, and one that unpacks what ``update`` returns can only fail where the mistake is not. A few
updates of a few numbers tell, in about a millisecond; `optlab.check` asks more.
"""

import functools
import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optlab.config import ConfigError
from optlab.optim.apply import in_working_precision
from optlab.optim.rule import Hyper, NewState, Rule, State, with_numbers

#: Tensors that are updated apart and end to end; rules tell matrices from vectors.
SHAPES = ((2, 3), (5,))
#: Sizes of successive gradients: a rule may look at others only where these are large, or small.
SCALES = (1.0, 100.0, 0.01)
_PACKAGE, _TORCH = Path(__file__).parents[1], Path(torch.__file__).parent


@dataclass(frozen=True)
class Fault:
    """What is wrong with a function of a rule.

    Attributes:
        subject: The function, as ``module.name``.
        wanted: What it must do, such as "return (new_param, new_state)".
        found: What it did.
        mend: What to do; empty where that is not known.
    """

    subject: str
    wanted: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        sentence = f"{self.subject} must {self.wanted}; found: {self.found}"
        return f"{sentence}; {self.mend}" if self.mend else sentence


def require_sound(rule: Rule, hyper: Hyper, params: Sequence[Tensor]) -> None:
    """Try a rule on small tensors of as many axes as ``params`` have, and hold it to its claims.

    Raises:
        ConfigError: When an update fails or returns something else than it must, or when
            ``elementwise`` is claimed and is not so.
    """
    forms = dict.fromkeys((tuple(min(n, 3) for n in p.shape), p.dtype) for p in params)
    with torch.no_grad():
        for shape, dtype in forms:
            param, grad = map(in_working_precision, _tensors(shape, dtype))
            _refuse(fault_of_an_update(rule, hyper, param, grad))
        if rule.elementwise:
            _require_elementwise(rule, hyper)


def fault_of_an_update(
    rule: Rule, hyper: Hyper, param: Tensor, grad: Tensor, numbers: bool = True
) -> Fault | None:
    """Return what is wrong with the first state and the first update of a tensor, if anything.

    Args:
        rule: The rule.
        hyper: Its hyperparameters.
        param: Parameter.
        grad: Gradient, of the same shape and dtype.
        numbers: Give the update its scalars as Python numbers, as drivers do, not as tensors.
    """
    make, update = name_of(rule.init_state, rule), name_of(rule.update, rule)
    try:
        state = rule.init_state(param, hyper)
    except Exception as error:
        return _failure(make, error, rule, hyper, {})
    fault = _fault_of_a_state(make, state, rule)
    if fault is not None:
        return fault
    try:
        returned = rule.update(grad, param, with_numbers(state, rule) if numbers else state, hyper)
    except Exception as error:
        return _failure(update, error, rule, hyper, state)
    return _fault_of_a_pair(update, returned, param, state, rule)


def apart_and_together(
    rule: Rule, hyper: Hyper, params: Sequence[Tensor], grads: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return tensors flat after updates of each alone, and after updates of all end to end.

    Args:
        rule: The rule.
        hyper: Its hyperparameters.
        params: Parameters of any shapes.
        grads: For each its gradients, (steps, *shape).
    """
    alone = [walk(rule, hyper, p, g)[0].flatten() for p, g in zip(params, grads, strict=True)]
    flat = torch.cat([p.flatten() for p in params])
    together, _ = walk(rule, hyper, flat, torch.cat([g.flatten(1) for g in grads], dim=1))
    return torch.cat(alone), together


def walk(
    rule: Rule, hyper: Hyper, param: Tensor, grads: Iterable[Tensor]
) -> tuple[Tensor, NewState]:
    """Return parameter and state after one update for each gradient."""
    state = rule.init_state(param, hyper)
    for grad in grads:
        param, state = rule.update(grad, param, state, hyper)
    return param, state


def name_of(function: Callable[..., Any], rule: Rule) -> str:
    """Return ``module.name`` of a function of a rule; what a transform made has the rule's."""
    plain = _unwrapped(function)
    name = f"{plain.__module__}.{getattr(plain, '__qualname__', type(plain).__qualname__)}"
    if name.startswith("optlab.optim.transforms."):
        part = "update" if function is rule.update else "init_state"
        return f"{part} of the rule of {rule.hyper.__module__}.{rule.hyper.__qualname__}"
    return name


def place_of(error: BaseException, rule: Rule) -> str:
    """Return the deepest line of the rule's own file, or of a user's, among an error's frames."""
    frames = traceback.extract_tb(error.__traceback__)
    file = getattr(getattr(_unwrapped(rule.update), "__code__", None), "co_filename", None)
    lines = [f for f in frames if f.filename == file] or [f for f in frames if _is_foreign(f)]
    if not lines:
        return ""
    return f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno}: {lines[-1].line})"


def kind_of(value: object) -> str:
    """Return the shape and dtype of a tensor, or the type of anything else."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"


def _refuse(fault: Fault | None) -> None:
    if fault is not None:
        raise ConfigError(str(fault))


def _require_elementwise(rule: Rule, hyper: Hyper) -> None:
    """Compare tensors apart and end to end: at some rate, since that of a schedule may be 0."""
    hyper = hyper.with_values(lr=0.1)
    pairs = [_tensors(shape, torch.float64) for shape in SHAPES]
    for param, grad in pairs:
        _refuse(fault_of_an_update(rule, hyper, param, grad))
    grads = [torch.stack([scale * grad for scale in SCALES]) for _, grad in pairs]
    alone, together = apart_and_together(rule, hyper, [param for param, _ in pairs], grads)
    # Vectorised powers and roots may part in the last bit of 16 digits; norms part in the first.
    if not torch.allclose(alone, together, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise ConfigError(
            f"{name_of(rule.update, rule)} makes the step of an element depend on others of its "
            "tensor, but its Rule claims elementwise=True (the default), by which parameters are "
            "laid end to end: set elementwise=False in its Rule"
        )


def _tensors(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return a parameter and a gradient of normal numbers, without the global random stream."""
    generator = torch.Generator("cpu").manual_seed(len(shape))
    both = torch.randn((2, *shape), generator=generator, dtype=torch.float64, device="cpu")
    return both[0].to(dtype, copy=True), both[1].to(dtype, copy=True)


def _fault_of_a_state(make: str, state: Any, rule: Rule) -> Fault | None:
    wanted = "return a mapping of tensors"
    if not isinstance(state, Mapping):
        example = 'end it with return {"mean": torch.zeros_like(param)}, or with return {}'
        return Fault(make, wanted, _described(state), example)
    for name, value in state.items():
        if not isinstance(value, Tensor):
            mend = "make a counter with zero_step(), another number with scalar(x)"
            return Fault(make, wanted, f"{name} is {_described(value)}", mend)
        if name in rule.scalars and value.ndim:
            mend = "make it with zero_step() or scalar(x), or leave it out of Rule(scalars=...)"
            return Fault(make, f"make {name}, a scalar, 0-d", kind_of(value), mend)
    return None


def _fault_of_a_pair(
    update: str, returned: Any, param: Tensor, state: State, rule: Rule
) -> Fault | None:
    """Return what is wrong with what ``update`` returned for ``param`` and ``state``."""
    pair = "return (new_param, new_state)"
    example = "end it with return param - hyper.lr * step, {...}, the state with every entry"
    if not (isinstance(returned, tuple | list) and len(returned) == 2):
        return Fault(update, pair, _described(returned), example)
    new, new_state = returned
    if not (isinstance(new, Tensor) and isinstance(new_state, Mapping)):
        return Fault(update, pair, f"({_described(new)}, {_described(new_state)})", example)
    if kind_of(new) != kind_of(param):
        wanted = f"return a parameter {kind_of(param)} for one {kind_of(param)}"
        mend = "a sum or mean over an axis and a number in another dtype change what it is"
        return Fault(update, wanted, f"one {kind_of(new)}", mend)
    if set(new_state) != set(state):
        wanted = f"return a state with the entries {_names(state)} of init_state"
        return Fault(update, wanted, _names(new_state), "make and return the same ones in both")
    for name, first in state.items():
        found, is_number = new_state[name], name in rule.scalars
        if is_number and isinstance(found, float | int):
            continue
        if kind_of(found) != kind_of(first) and not (is_number and kind_of(found)[:2] == "()"):
            wanted = f"return a state with {name} {kind_of(first)} as in init_state"
            mend = "make it so in both; a number per tensor is named in Rule(scalars=...)"
            return Fault(update, wanted, kind_of(found), mend)
    return None


def _failure(subject: str, error: Exception, rule: Rule, hyper: Hyper, state: State) -> Fault:
    """Return the fault of a function that raised; what it says of its own accord goes on."""
    if isinstance(error, ConfigError):
        raise error
    reason = next(iter(str(error).strip().splitlines()), "")
    found = f"{type(error).__name__}: {reason}{place_of(error, rule)}"
    return Fault(subject, "run without an error", found, _remedy(error, hyper, state))


def _remedy(error: Exception, hyper: Hyper, state: State) -> str:
    if isinstance(error, KeyError) and error.args and error.args[0] not in state:
        return f"the state has what init_state makes: {_names(state)}"
    if isinstance(error, AttributeError) and error.obj is hyper:
        return f"the hyperparameters are {', '.join(hyper.__dataclass_fields__)}"
    if isinstance(error, AttributeError) and isinstance(error.obj, float | int):
        return "hyperparameters and scalars of the state may be Python numbers"
    return ""


def _names(state: Mapping[str, Any]) -> str:
    return ", ".join(map(str, state)) or "none"


def _described(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of {len(value)}"
    return f"a tensor {kind_of(value)}" if isinstance(value, Tensor) else kind_of(value)


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


def _is_foreign(frame: traceback.FrameSummary) -> bool:
    """Return whether a frame is in a file of neither this package nor PyTorch nor Python."""
    path = Path(frame.filename)
    installed = "site-packages" in path.parts
    inside = (_PACKAGE, _TORCH, *(() if installed else (Path(traceback.__file__).parent,)))
    return path.is_file() and not any(path.is_relative_to(folder) for folder in inside)
