"""What the diagnostics ask for of one run, taken between its updates; nothing of it is changed."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from optlab.config.schema import DiagnosticsConfig
from optlab.diagnostics import Drift, dead_units, gradient_flow
from optlab.diagnostics.flow import evenly_spaced_rows
from optlab.tasks.base import Data, Split
from optlab.train.objective import rows_of_a_chunk
from optlab.train.stack.backend import Member


class FlowLook(Protocol):
    """Looks at one run; `optlab.train.native.flow_look.FlowLook` is one."""

    def values(self, drift: Drift) -> dict[str, float]:
        """Return what `gradient_flow` does at `flow_rows`, given what the last look left."""
        ...


def flow_rows(split: Split) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of the training rows on which flow is measured: always the same."""
    rows = evenly_spaced_rows(len(split), split.x.device)
    return split.x.index_select(0, rows), split.y.index_select(0, rows)


class Measurements:
    """Looks at one run; norms are `optlab.train.stack.norms`. The loop asks when a look is due.

    Args:
        run: The run, alone or of a stack.
        data: Encoded splits on the run's device.
        wanted: What to measure.
        look: What looks at the flow of its gradients, where something does it better than PyTorch.
    """

    def __init__(
        self, run: Member, data: Data, wanted: DiagnosticsConfig, look: FlowLook | None = None
    ) -> None:
        self._run, self._data, self._wanted, self._look = run, data, wanted, look
        self._drift = Drift()

    def flow(self) -> dict[str, float]:
        """Return how gradients flow where the coming update takes its own."""
        if self._look is not None:
            return self._look.values(self._drift)
        run = self._run
        return gradient_flow(run.module, run.objective.loss, *self._rows, drift=self._drift)

    def where_it_broke(self) -> dict[str, float]:
        """Return ``nonfinite`` and ``nonfinite/<where>`` of a run that has diverged.

        Where its parameters hold NaN or infinity, it is the first of these and how many there are:
        everything computed from them follows. Otherwise it is what a look at the flow says.
        """
        if not self._wanted.flow_every:
            return {}
        named = dict(self._run.module.named_parameters())
        flags = [(p.detach() - p.detach()).any() for p in named.values()]
        bad = torch.stack(flags).tolist() if flags else []
        places = [name for name, flag in zip(named, bad, strict=True) if flag]
        if places:
            return {"nonfinite": float(len(places)), f"nonfinite/{places[0]}": 1.0}
        return {tag: v for tag, v in self.flow().items() if tag.startswith("nonfinite")}

    def state(self) -> dict[str, Any]:
        """Return what earlier looks left for later ones, for `load`."""
        return {"drift": self._drift.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._drift.load(state["drift"], self._data.train.x.device)

    @cached_property
    def _rows(self) -> tuple[Tensor, Tensor]:
        return flow_rows(self._data.train)

    def dead_units(self) -> dict[str, float]:
        """Return the share of dead units over all training rows, where it is wanted (GRD-09)."""
        if not self._wanted.dead_units:
            return {}
        x = self._data.train.x
        return dead_units(self._run.module, torch.split(x, rows_of_a_chunk(x)))
