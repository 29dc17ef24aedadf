"""The backend: blocks of runs, the programs that advance them, and who is still wanted.

Shapes: active runs A, places P, updates K, rows of a batch B, values M (the loss and the metrics).
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.tasks.base import Split
from optlab.train.objective import rows_of_a_chunk
from optlab.train.parts import Parts
from optlab.train.stack.vmapped import program
from optlab.train.stack.vmapped.block import Stacked
from optlab.train.stack.vmapped.compiled import compiled
from optlab.train.stack.vmapped.member import StackedRun
from optlab.train.stack.vmapped.sorting import blocks_of
from optlab.train.step import Tensors


def is_old() -> bool:
    """Return whether PyTorch compiles stacks of different networks to wrong results.

    2.11 does, where a batch is shared out among several `torch.vmap`; 2.15 does not.
    """
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    return version < (2, 15)


class Vmapped:
    """`torch.vmap` over runs of one pure step. See `optlab.train.stack.Backend` for the contract.

    Runs that left go on in their places, unseen, until half of all places are theirs: then the
    others move together, and nothing of them changes. A compiled stack also waits until its idle
    places have cost as much time as compiling did, which it will do again.

    Args:
        parts: The runs, with one task, objective, batch size and device.
        is_compiled: Whether updates and evaluation are compiled.

    Raises:
        NotStackable: When an optimizer is no rule, or `torch.vmap` refuses a network or a rule.
        ConfigError: When a rule is not what a rule must be.
    """

    def __init__(self, parts: Sequence[Parts], is_compiled: bool) -> None:
        self.members = [StackedRun(part) for part in parts]
        self._blocks = blocks_of(parts)
        self.execution = "compiled" if is_compiled else "eager: torch.vmap over runs"
        if is_compiled and is_old() and any(len(block.functions) > 1 for block in self._blocks):
            is_compiled = False
            self.execution = f"eager: PyTorch {torch.__version__} compiles mixed networks wrongly"
        self._train, self._is_compiled = parts[0].data.train, is_compiled
        self._active = list(range(len(parts)))
        self._seen_s = 0.0
        self._settle()

    @torch.no_grad()
    def advance(self, active: Sequence[int], rows: Tensor | None, factors: Tensor) -> Tensor:
        """Make K updates of each active run; see `Backend.advance`."""
        self._release(list(active))
        spread = factors.to(self._taken.device, non_blocking=True).T.index_select(1, self._taken)
        if rows is not None:
            rows = rows.transpose(0, 1).index_select(1, self._taken)
        values = []
        for k, each in enumerate(spread.unbind()):
            values.append(self._step(None if rows is None else rows[k], each))
        for run, factor in zip(active, factors[:, -1].tolist(), strict=True):
            self.members[run].lr_factor = factor
        return torch.stack(values, 1).index_select(0, self._found)

    @torch.no_grad()
    def evaluate(self, active: Sequence[int], split: Split) -> Tensor:
        """Return the means over a split of each active run's values; see `Backend.evaluate`."""
        last = [self.members[run].lr_factor for run in self._places]
        parts = self._parted(torch.tensor(last, dtype=torch.float64, device=self._taken.device))
        pairs = zip(self._blocks, parts, strict=True)
        params = [program.iterates(block, factors) for block, factors in pairs]
        total = torch.zeros((), dtype=torch.float64, device=split.x.device)
        chunks = (torch.split(part, rows_of_a_chunk(split.x)) for part in (split.x, split.y))
        for x, y in zip(*chunks, strict=True):
            total = total + self._values(params, x, y) * len(x)
        return (total / len(split)).cpu()[[self._places[run] for run in active]]

    def _step(self, rows: Tensor | None, factors: Tensor) -> Tensor:
        """Make one update of every place, and return its values, (P, M)."""
        x, y = self._train.x, self._train.y
        key = ("update", None if rows is None else rows.shape)
        arguments = (x, y, rows, factors)
        values, grads = self._program(key, self._update, arguments)(*arguments)
        for block, own, part in zip(self._blocks, grads, self._parted(factors), strict=True):
            block.grads = own
            program.finish(block, own, part)
        found: Tensor = values
        return found

    def _values(self, params: list[Tensors], x: Tensor, y: Tensor) -> Tensor:
        """Return the means over rows of each place's values, (P, M), float64."""
        arguments = (params, x, y)
        found: Tensor = self._program(("values", x.shape), self._evaluate, arguments)(*arguments)
        return found

    def _update(
        self, tensors: list[Stacked], x: Tensor, y: Tensor, rows: Tensor | None, factors: Tensor
    ) -> tuple[Tensor, list[Tensors]]:
        own_rows = [None] * len(tensors) if rows is None else self._parted(rows)
        groups = zip(self._blocks, tensors, own_rows, self._parted(factors), strict=True)
        results = [program.advance(b, t, x, y, own, part) for b, t, own, part in groups]
        return torch.cat([values for values, _ in results]), [grads for _, grads in results]

    def _evaluate(
        self, tensors: list[Stacked], params: list[Tensors], x: Tensor, y: Tensor
    ) -> Tensor:
        groups = zip(self._blocks, tensors, params, strict=True)
        return torch.cat([program.evaluate(b, t, own, x, y) for b, t, own in groups])

    def _program(
        self, key: Any, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Callable[..., Any]:
        """Return what does ``function`` with the blocks' tensors: for each shape another."""
        if key not in self._programs:
            tensors = [block.traced() for block in self._blocks]
            self._programs[key] = functools.partial(function, tensors)
            if self._is_compiled:
                started = time.perf_counter()
                self._programs[key] = compiled(function, tensors, *arguments)
                self._price_s += time.perf_counter() - started
        return self._programs[key]

    def _parted(self, tensor: Tensor) -> Sequence[Tensor]:
        """Return each block's part of a tensor over all places."""
        return torch.split(tensor, [len(block) for block in self._blocks])

    def _release(self, active: list[int]) -> None:
        """Let runs go that are no longer active, and move the others together when it is time."""
        now = time.perf_counter()
        places = len(self._places)
        self._wasted_s += (now - self._seen_s) * (1 - len(self._active) / places)
        self._seen_s = now
        if active != self._active:
            for run in set(self._active).difference(active):
                self.members[run].leave()
            self._active = active
            self._order()
        if 2 * len(active) <= places and self._wasted_s >= self._price_s:
            self._compact()

    def _compact(self) -> None:
        """Give places to active runs alone."""
        wanted = set(self._active)
        kept = [
            [place for place, source in enumerate(block.sources) if source.run in wanted]
            for block in self._blocks
        ]
        pairs = zip(self._blocks, kept, strict=True)
        self._blocks = [block.keep(places) for block, places in pairs if places]
        self._settle()

    def _settle(self) -> None:
        """Begin with new blocks, of which nothing is compiled yet."""
        runs = [source.run for block in self._blocks for source in block.sources]
        self._places = {run: place for place, run in enumerate(runs)}
        self._programs: dict[Any, Callable[..., Any]] = {}
        self._price_s, self._wasted_s, self._seen_s = 0.0, 0.0, time.perf_counter()
        for block in self._blocks:
            for place, source in enumerate(block.sources):
                self.members[source.run].show(block, place)
        self._order()

    def _order(self) -> None:
        """Find which active run's rows each place takes, and where each active run is.

        An idle place takes those of the first.
        """
        number = {run: i for i, run in enumerate(self._active)}
        device = self._train.x.device
        self._taken = torch.tensor([number.get(run, 0) for run in self._places], device=device)
        self._found = torch.tensor([self._places[run] for run in self._active], device=device)
