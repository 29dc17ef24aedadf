"""The checked options of a parameter group, read again only where a value was replaced.

An optimizer's step begins here, so it has to be quick: a step without news compares identities, and
a new learning rate, which a schedule brings with every step, is checked alone.
"""

import functools
import math
from collections.abc import Iterable, Mapping
from operator import is_
from typing import Any, get_args, get_type_hints

from optlab.optim.groups import GradientOptions, layout, read
from optlab.optim.rule import Hyper
from optlab.types import Range

Options = tuple[Hyper, GradientOptions]


class GroupReading:
    """What a group says, step after step.

    Args:
        hyper: Hyperparameter class of the rule.
        names: Keys of the group that are options.
    """

    def __init__(self, hyper: type[Hyper], names: Iterable[str]) -> None:
        self._hyper, self._names = hyper, tuple(names)
        self._values: list[Any] = []
        self._options: Options | None = None

    def read(self, group: Mapping[str, Any]) -> Options:
        """Return the options of ``group``; the same objects as last time where nothing changed.

        Raises:
            ConfigError: For a value out of range or of the wrong kind.
        """
        values = [group[name] for name in self._names]
        if self._options is None or not all(map(is_, values, self._values)):
            self._options = self._read_again(group, values)
            self._values = [list(v) if isinstance(v, list) else v for v in values]
        return self._options

    def _read_again(self, group: Mapping[str, Any], values: list[Any]) -> Options:
        if self._options is None:
            return read(self._hyper, group)
        pairs = zip(self._names, values, self._values, strict=True)
        changed = {name: new for name, new, old in pairs if not _same(new, old)}
        allowed = _ranges(self._hyper)  # type: ignore[arg-type]
        if not all(_is_allowed(value, allowed.get(name)) for name, value in changed.items()):
            return read(self._hyper, group)
        hyper, options = self._options
        return (hyper.with_values(**changed), options) if changed else self._options


def _same(value: Any, known: Any) -> bool:
    """Return whether a value is the one last read; tensors are not asked for theirs.

    A list is compared entry by entry: ``betas[0] = 0.5`` leaves it the same list.
    """
    if type(value) is type(known) is list:
        return len(value) == len(known) and all(map(_same, value, known))
    return value is known or (type(value) is type(known) is float and value == known)


def _is_allowed(value: Any, allowed: Range | None) -> bool:
    """Return whether a value is a plain number that `read` would take as it is."""
    return (
        allowed is not None and type(value) is float and math.isfinite(value) and value in allowed
    )


@functools.cache
def _ranges(hyper: Any) -> dict[str, Range]:
    """Return the ranges of the numbers that stand in a group under their own names."""
    hints = get_type_hints(hyper, include_extras=True)
    own = [name for name in hyper.float_names() if name in layout(hyper)]
    found = {n: [r for r in get_args(hints[n])[1:] if isinstance(r, Range)] for n in own}
    return {name: ranges[0] for name, ranges in found.items() if len(ranges) == 1}
