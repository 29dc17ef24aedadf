"""Norms of all runs of a stack at once, each as of a run alone.

Between two updates Python costs more than the norms themselves, so the tensors of all runs go
through a few calls.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice

import torch
from torch import Tensor

from optlab.config.schema import DiagnosticsConfig
from optlab.diagnostics.flow import MOST_TAGS, thinned
from optlab.train.native.lengths import lengths
from optlab.train.stack.backend import Member


class StackNorms:
    """Looks at runs right before and right after an update; nothing of them is changed.

    Args:
        members: The runs.
        wanted: What to measure.
    """

    def __init__(self, members: Sequence[Member], wanted: DiagnosticsConfig) -> None:
        self._members, self._wanted = members, wanted
        # Parameters stay the objects they are, and finding them takes longer than their norms.
        self._weights = [dict(member.module.named_parameters()) for member in members]
        self._copies: dict[int, list[Tensor]] = {}

    def before(self, runs: Sequence[int]) -> None:
        """Keep copies of the iterates where the coming update is to be compared with them."""
        if self._wanted.update_ratios:
            with self._at_iterates(runs) as weights:
                torch._foreach_copy_(self._kept(runs), weights)

    @torch.no_grad()
    def after(self, runs: Sequence[int]) -> list[dict[str, float]]:
        """Return the norms and ratios of each run that are wanted after an update.

        Weights are those of the iterate, gradients those of the update (for NAG ahead of it).

        Args:
            runs: The runs that `before` was asked about.
        """
        wanted = self._wanted
        gradients = (
            [self._members[run].gradients() for run in runs] if wanted.gradient_norms else []
        )
        named = [self._weights[run] for run in runs]
        before = self._kept(runs) if wanted.update_ratios else []
        with self._at_iterates(runs) as weights:
            own = [gradient for each in gradients for gradient in each.values()]
            parts = (own, weights if wanted.weight_norms else [], before, before)
            together = [tensor for part in parts for tensor in part]
            numbers = iter(lengths(together, weights if before else ()).tolist())
        of_gradients, of_weights, sizes, changes = (list(islice(numbers, len(p))) for p in parts)
        found: list[dict[str, float]] = [{} for _ in runs]
        _enter(found, "gradient_norm", gradients, of_gradients)
        _enter(found, "weight_norm", named if of_weights else (), of_weights)
        _enter(found, "update_ratio", named if sizes else (), map(_ratio, changes, sizes))
        return found

    def _kept(self, runs: Sequence[int]) -> list[Tensor]:
        """Return memory for copies of the weights; allocating it anew would take longer."""
        for run in runs:
            if run not in self._copies:
                weights = self._weights[run].values()
                self._copies[run] = [torch.empty_like(w, requires_grad=False) for w in weights]
        return [copy for run in runs for copy in self._copies[run]]

    @contextmanager
    def _at_iterates(self, runs: Sequence[int]) -> Iterator[list[Tensor]]:
        """Hold the iterates in the parameters, and give these run by run."""
        with ExitStack() as stack, torch.no_grad():
            for run in runs:
                stack.enter_context(self._members[run].at_iterate())
            yield [weight for run in runs for weight in self._weights[run].values()]


def _ratio(change: float, size: float) -> float:
    """Return a quotient as floating-point numbers have it: infinity where a weight was 0."""
    if size == 0:
        return math.inf if change > 0 else math.nan
    return change / size


def _enter(
    found: Sequence[dict[str, float]],
    kind: str,
    named: Sequence[Iterable[str]],
    values: Iterable[float],
) -> None:
    """Enter values, run by run, under ``kind/name``: of ratios `MOST_TAGS` at most."""
    numbers = iter(values)
    for own, names in zip(found, named, strict=False):
        tags = _tags(kind, tuple(names))
        new = dict(zip(tags, numbers, strict=False))
        own |= thinned(new) if kind == "update_ratio" and len(new) > MOST_TAGS else new


@functools.lru_cache(maxsize=256)
def _tags(kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{kind}/{name}" for name in names)
