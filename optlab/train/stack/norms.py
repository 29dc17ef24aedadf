"""Norms of all runs of a stack at once, each as `optlab.train.measurements` takes it of one.

Between two updates Python costs more than the norms themselves, so the tensors of all runs go
through a few calls.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from optlab.config.schema import DiagnosticsConfig
from optlab.diagnostics.flow import MOST_TAGS, thinned
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
        found: list[dict[str, float]] = [{} for _ in runs]
        if wanted.gradient_norms:
            gradients = [self._members[run].gradients() for run in runs]
            tensors = [grad for own in gradients for grad in own.values()]
            _enter(found, "gradient_norm", gradients, norms(tensors))
        if not (wanted.weight_norms or wanted.update_ratios):
            return found
        named = [self._weights[run] for run in runs]
        with self._at_iterates(runs) as weights:
            if wanted.weight_norms:
                _enter(found, "weight_norm", named, norms(weights))
            if wanted.update_ratios:
                ratios: list[dict[str, float]] = [{} for _ in runs]
                _enter(ratios, "update_ratio", named, self._ratios(runs, weights))
                for own, ratio in zip(found, ratios, strict=True):
                    own |= ratio if len(ratio) <= MOST_TAGS else thinned(ratio)
        return found

    def _ratios(self, runs: Sequence[int], weights: list[Tensor]) -> Tensor:
        """Return how much weights changed beside what they were, (N,)."""
        before = self._kept(runs)
        sizes = norms(before)
        torch._foreach_sub_(before, weights)  # backwards, which changes no norm
        return norms(before) / sizes

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


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of every tensor, (N,), in the tensors' own precision."""
    return torch.stack(torch._foreach_norm(list(tensors))) if tensors else torch.empty(0)


def _enter(
    found: Sequence[dict[str, float]], kind: str, named: Sequence[Iterable[str]], values: Tensor
) -> None:
    """Enter values, run by run, under ``kind/name``; all leave the device in one copy."""
    numbers = iter(values.tolist())
    for own, names in zip(found, named, strict=True):
        own |= {f"{kind}/{name}": next(numbers) for name in names}
