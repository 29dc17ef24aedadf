"""What the diagnostics ask for of one run, taken between its updates; nothing of it is changed."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from optlab.config.schema import DiagnosticsConfig
from optlab.diagnostics import Drift, dead_units, gradient_flow, layer_norms, update_ratios
from optlab.diagnostics.flow import evenly_spaced_rows, thinned
from optlab.tasks.base import Data
from optlab.train.objective import rows_of_a_chunk
from optlab.train.stack.backend import Member


class Measurements:
    """Looks at one run. Nothing is due by itself: the loop asks at its updates.

    Args:
        run: The run, alone or of a stack.
        data: Encoded splits on the run's device.
        wanted: What to measure.
    """

    def __init__(self, run: Member, data: Data, wanted: DiagnosticsConfig) -> None:
        self._run, self._data, self._wanted = run, data, wanted
        self._drift = Drift()

    def weights_before(self) -> dict[str, Tensor]:
        """Return a copy of the iterate where the coming update is to be compared with it."""
        if not self._wanted.update_ratios:
            return {}
        with self._run.at_iterate():
            named = self._run.module.named_parameters()
            return {name: p.detach().clone() for name, p in named}

    def norms(self, before: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the norms and ratios that are wanted after an update.

        Weights are those of the iterate, gradients those of the update (for NAG ahead of it).

        Args:
            before: Parameters before the update, or nothing.
        """
        wanted, run = self._wanted, self._run
        values: dict[str, float] = {}
        if wanted.gradient_norms:
            values |= layer_norms("gradient_norm", run.gradients())
        if wanted.weight_norms or before:
            with run.at_iterate():
                weights = dict(run.module.named_parameters())
                if wanted.weight_norms:
                    values |= layer_norms("weight_norm", weights)
                values |= thinned(update_ratios(before, weights))
        return values

    def flow(self) -> dict[str, float]:
        """Return how gradients flow where the coming update takes its own."""
        run = self._run
        return gradient_flow(run.module, run.objective.loss, *self._flow_rows, drift=self._drift)

    def state(self) -> dict[str, Any]:
        """Return what earlier looks left for later ones, for `load`."""
        return {"drift": self._drift.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._drift.load(state["drift"])

    @cached_property
    def _flow_rows(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the training rows on which flow is measured: always the same."""
        split = self._data.train
        rows = evenly_spaced_rows(len(split), split.x.device)
        return split.x.index_select(0, rows), split.y.index_select(0, rows)

    def dead_units(self) -> dict[str, float]:
        """Return the share of dead units over all training rows, where it is wanted (GRD-09)."""
        if not self._wanted.dead_units:
            return {}
        x = self._data.train.x
        return dead_units(self._run.module, torch.split(x, rows_of_a_chunk(x)))
