"""Verdicts on runs: their records are kept as they are made, and judged at the end."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from optlab.diagnostics import undisturbed
from optlab.diagnostics.quantity import is_layer
from optlab.diagnostics.slopes import slopes
from optlab.diagnostics.verdicts import Facts, Histories, History, verdicts
from optlab.results import Verdict
from optlab.train.parts import Parts, RuleChoice
from optlab.train.standing import Outcome


class Judge:
    """Keeps what the rules read of runs that train, and tells the verdicts; a `Sink`.

    Args:
        parts: What the runs are made of. They share data and objective.
    """

    def __init__(self, parts: Sequence[Parts]) -> None:
        self._parts, self._histories = parts, Histories(len(parts))
        self.log, self.log_block = self._histories.log, self._histories.log_block

    @cached_property
    def _chance(self) -> float | None:
        return chance_loss(self._parts[0])

    def history(self, run: int = 0) -> History:
        """Return what is kept of a run's records."""
        return self._histories.history(run)

    def verdicts(self, run: int, outcome: Outcome) -> list[Verdict]:
        """Return the verdicts on a run that has ended, the most severe first."""
        facts = facts_of(self._parts[run], outcome, self._chance)
        return verdicts(self._histories.history(run), facts)

    def state(self) -> dict[str, Any]:
        """Return what is kept as tensors, numbers and texts, for a checkpoint."""
        return self._histories.state()

    def load(self, state: Mapping[str, Any], places: Sequence[int]) -> None:
        """Take up a `state` of these runs, which are those at some places of it."""
        self._histories.load(state, places)


def facts_of(part: Parts, outcome: Outcome, chance: float | None) -> Facts:
    """Return what rules need to know of a run beside its records."""
    optimizer, regularizer = part.optimizer, part.regularizer
    of_rule = isinstance(optimizer, RuleChoice)
    lr = optimizer.hyper.lr if of_rule else optimizer.get("lr")  # type: ignore[union-attr]
    modules = dict(part.module.named_modules())
    return Facts(
        updates=outcome.updates,
        updates_per_epoch=part.sampler.updates_per_epoch,
        diverged=(outcome.cause or "") if outcome.status == "diverged" else "",
        lr=None if lr is None else float(lr),
        clip_norm=regularizer.clip_norm,
        clip_value=regularizer.clip_value,
        sizes={name: p.numel() for name, p in part.module.named_parameters()},
        layers=tuple(name for name, module in modules.items() if is_layer(module)),
        rectified=frozenset(name for name, module in modules.items() if _is_rectified(module)),
        chance_loss=chance,
        restores_best=part.trainer.patience is not None and part.trainer.restore_best,
    )


@torch.no_grad()
def chance_loss(part: Parts) -> float | None:
    """Return the training loss of scores that are all 0, None where that means nothing.

    It is what knowing nothing costs: equal probabilities, or the mean of standardized targets.
    """
    if part.data.objective is not None:
        return None
    split = part.data.train
    with undisturbed(part.module):
        part.module.eval()
        output = part.module(split.x[:2])
    scores = output.new_zeros(()).expand(len(split), *output.shape[1:])
    loss = float(part.objective.loss(scores, split.y))
    return loss if math.isfinite(loss) and loss > 0 else None


def _is_rectified(module: torch.nn.Module) -> bool:
    """Return whether a module is an activation with the slope 0 on one side, as ReLU."""
    found = slopes(module, torch.tensor([[-3.0, -0.5, 0.5, 3.0]]))
    return found is not None and found.flatten().tolist() == [0.0, 0.0, 1.0, 1.0]
