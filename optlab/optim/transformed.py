"""Optimizer classes whose rule went through transforms, in Python or by a configuration."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from optlab.config import ConfigError, validate
from optlab.optim.rule import Rule
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.optim.transforms import Pull, averaged, cautious, lookahead
from optlab.types import Decay, Natural


def with_transforms(
    optimizer: type[RuleOptimizer], *transforms: Callable[[Rule], Rule]
) -> type[RuleOptimizer]:
    """Return a subclass of ``optimizer`` whose rule went through ``transforms``, the first first.

    Its signature, state dict and ``iterates()`` include what they add:

        SlowAdam = with_transforms(Adam, cautious, partial(lookahead, steps=6), averaged)
        optimizer = SlowAdam(model.parameters(), lr=1e-3, ema_decay=0.99)

    Without transforms it is ``optimizer``. torch has no class that takes its state dict.

    Raises:
        ConfigError: For a class that is not made of a rule, or what is no function of one.
    """
    _require_class_and_functions(optimizer, transforms)
    if not transforms:
        return optimizer
    rule = optimizer.rule
    for transform in transforms:
        rule = transform(rule)
    names = [getattr(t, "func", t).__name__ for t in transforms]
    words = "".join(name.title() for name in reversed(names) if name.isidentifier())
    doc = f"{optimizer.__name__} with {', '.join(names)}; see `optlab.optim.transforms`."
    namespace: dict[str, Any] = {
        "rule": rule,
        "torch_class": None,
        "torch_form": {},
        "__doc__": doc,
    }
    return type(f"{words}{optimizer.__name__}", (optimizer,), namespace)


def _require_class_and_functions(optimizer: Any, transforms: Iterable[Any]) -> None:
    if not (isinstance(optimizer, type) and issubclass(optimizer, RuleOptimizer)):
        raise ConfigError(
            f"with_transforms takes a class of optlab.optim, such as optlab.optim.Adam, got "
            f"{_named(optimizer)}: a transform goes around the rule, which only these have"
        )
    for transform in transforms:
        if isinstance(transform, type) or not callable(transform):
            raise ConfigError(
                "with_transforms takes transforms as functions: cautious, lookahead, averaged, or "
                f"partial(averaged, decay=0.99) for other numbers; got {_named(transform)}"
            )


def _named(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else repr(value)


@dataclass(frozen=True)
class Transform:
    """Which transforms a training puts around its rule, from the inside out, and how strongly.

    Attributes:
        cautious: Whether steps against the present gradient are left out; see `cautious`.
        lookahead_steps: Updates between those of the slow weights, or 0; see `lookahead`.
        lookahead_alpha: Share of the way that the slow weights follow.
        ema: Decay of the average of weights that is evaluated, or None; see `averaged`.
        ema_bias_correction: Divide that average by the sum of its weights.
    """

    cautious: bool = False
    lookahead_steps: Natural = 0
    lookahead_alpha: Pull = 0.5
    ema: Decay | None = None
    ema_bias_correction: bool = True

    def __post_init__(self) -> None:
        validate(self, "transform")
        if self.lookahead_steps == 0 and self.lookahead_alpha != Transform.lookahead_alpha:
            raise _idle("lookahead_alpha", self.lookahead_alpha, "lookahead_steps")
        if self.ema is None and not self.ema_bias_correction:
            raise _idle("ema_bias_correction", "false", "ema")

    def functions(self) -> list[Callable[[Rule], Rule]]:
        """Return the transforms that are on, in their order."""
        chosen: list[Callable[[Rule], Rule]] = [cautious] if self.cautious else []
        if self.lookahead_steps:
            pull = self.lookahead_alpha
            chosen.append(functools.partial(lookahead, steps=self.lookahead_steps, alpha=pull))
        if self.ema is not None:
            correction = self.ema_bias_correction
            chosen.append(functools.partial(averaged, decay=self.ema, bias_correction=correction))
        return chosen


@functools.cache
def transformed(optimizer: type[RuleOptimizer], transform: Transform) -> type[RuleOptimizer]:
    """Return ``optimizer`` with what ``transform`` chooses, the same class every time.

    Runs of one kind then share what is compiled for their rule.
    """
    return with_transforms(optimizer, *transform.functions())


def _idle(name: str, value: Any, needed: str) -> ConfigError:
    return ConfigError(
        f"transform.{name}={value} would do nothing: transform.{needed} is off; set it too"
    )
