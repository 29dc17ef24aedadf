"""Runs whose weights have the same names and shapes, laid side by side.

Runs are sorted by update, then by network, then as they were given: each kind of update has a slice
of the run axis, and each kind of network a branch, which picks its runs from the axis.

Shapes: runs R of the block, runs n of a slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map, tree_map_only

from optlab.train.parts import Parts
from optlab.train.stack.vmapped.function import Function
from optlab.train.stack.vmapped.refusal import rule_of
from optlab.train.stack.vmapped.update import Update
from optlab.train.step import States, Tensors, initial_state


@dataclass(frozen=True)
class Source:
    """A run and what it shares with others.

    Attributes:
        run: Its number.
        update: What it does after its gradients.
        function: What it computes from its weights.
    """

    run: int
    update: Update
    function: Function


@dataclass(frozen=True)
class Slice:
    """The runs ``start`` to ``stop`` of a block, which have one update."""

    update: Update
    start: int
    stop: int

    def of(self, tree: Any) -> Any:
        """Return these runs' part of every tensor."""
        return tree_map_only(Tensor, lambda tensor: tensor[self.start : self.stop], tree)


class Stacked(NamedTuple):
    """The tensors of a block.

    Attributes:
        params: Parameters by name, (R, ...).
        buffers: Buffers by name, (R, ...).
        states: Of each slice the states of its rule by parameter, (n, ...); where an update is
            counted (`Update.is_counted`), scalars are Python numbers.
        numbers: Of each slice the hyperparameters, (n,), float64.
        strengths: Of each slice the strengths of its regularizer, (n,), float64.
        places: Of each branch the places of its runs, int64.
        back: The place of each run when all branches are laid one after the other, (R,), int64.
    """

    params: Tensors
    buffers: Tensors
    states: list[States]
    numbers: list[Tensors]
    strengths: list[Tensors]
    places: list[Tensor]
    back: Tensor


class Block:
    """Stacked runs.

    Attributes:
        sources: The runs, in the order of the run axis.
        slices: Its slices.
        functions: The network of each branch.
        sizes: Runs of each branch.
        is_sorted: Whether branches, too, follow each other on the run axis.
        tensors: What changes while the runs train, and what that depends on.
        grads: Gradients of the last update by parameter, (R, ...); none before the first.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        params: Tensors,
        buffers: Tensors,
        states: list[States],
        numbers: list[Tensors],
        strengths: list[Tensors],
    ) -> None:
        self.sources = list(sources)
        self.slices = slices_of(self.sources)
        self.functions = list(dict.fromkeys(source.function for source in sources))
        branches = [self.functions.index(source.function) for source in sources]
        self.is_sorted = branches == sorted(branches)
        device = next(iter(params.values())).device
        order = torch.argsort(torch.tensor(branches), stable=True)
        self.sizes = [branches.count(branch) for branch in range(len(self.functions))]
        places = [part.to(device) for part in torch.split(order, self.sizes)]
        back = torch.argsort(order).to(device)
        self.tensors = Stacked(params, buffers, states, numbers, strengths, places, back)
        self.grads: Tensors = {}

    def __len__(self) -> int:
        return len(self.sources)

    def keep(self, places: Sequence[int]) -> "Block":
        """Return copies of the runs at some places, ascending."""
        t = self.tensors
        kept: list[list[Any]] = [[], [], []]
        for part, *trees in zip(self.slices, t.states, t.numbers, t.strengths, strict=True):
            inside = [place - part.start for place in places if part.start <= place < part.stop]
            if inside:
                for each, tree in zip(kept, trees, strict=True):
                    each.append(_picked(tree, inside))
        weights = [_picked(tree, places) for tree in (t.params, t.buffers)]
        block = Block([self.sources[place] for place in places], *weights, *kept)
        block.grads = _picked(self.grads, places)
        return block

    def traced(self) -> Stacked:
        """Return the tensors without the states of counted updates, which no program sees."""
        pairs = zip(self.slices, self.tensors.states, strict=True)
        states = [{} if part.update.is_counted else states for part, states in pairs]
        return self.tensors._replace(states=states)

    def one_of_each(self) -> list[int]:
        """Return the first places of every update and of every network."""
        pairs = list(enumerate(self.sources))[::-1]
        firsts: dict[Any, int] = {source.update: place for place, source in pairs}
        firsts |= {source.function: place for place, source in pairs}
        return sorted(set(firsts.values()))

    def state_at(self, place: int) -> States:
        """Return the states of the rule of one run, by parameter: views and Python numbers."""
        part, states = self._slice_at(place)
        row: States = tree_map_only(Tensor, lambda state: state[place - part.start], states)
        return row

    def load_states(self, place: int, saved: States) -> None:
        """Overwrite what `state_at` returned; Python numbers are those of the whole slice."""
        own, (_, states) = self.state_at(place), self._slice_at(place)
        for name, entries in saved.items():
            for key, value in entries.items():
                if isinstance(own[name][key], Tensor):
                    own[name][key].copy_(value)
                else:
                    states[name][key] = value

    def _slice_at(self, place: int) -> tuple[Slice, States]:
        """Return the slice of a place, and its states."""
        pairs = zip(self.slices, self.tensors.states, strict=True)
        return next(pair for pair in pairs if pair[0].start <= place < pair[0].stop)

    def grads_at(self, place: int) -> Tensors:
        """Return the last gradients of one run, by parameter: views."""
        return {name: grad[place] for name, grad in self.grads.items()}


def stacked(sources: Sequence[Source], parts: Sequence[Parts]) -> Block:
    """Return runs at their start, side by side; nothing is shared with their modules.

    Args:
        sources: The runs, sorted.
        parts: What all runs are made of, by number.
    """
    own = [parts[source.run] for source in sources]
    hypers = [rule_of(part).hyper for part in own]
    runs = [
        initial_state(part.module, source.update.rule, hyper)
        for part, source, hyper in zip(own, sources, hypers, strict=True)
    ]
    device = own[0].data.train.x.device
    states, numbers, strengths = [], [], []
    for part in slices_of(sources):
        group, update = slice(part.start, part.stop), part.update
        states.append(update.counted(_side_by_side([run.optimizer for run in runs[group]])))
        numbers.append(_columns(hypers[group], update.varied, device))
        regularizers = [part.regularizer for part in own[group]]
        strengths.append(_columns(regularizers, update.strengths, device))
    params = _side_by_side([run.params for run in runs])
    buffers = _side_by_side([run.buffers for run in runs])
    return Block(sources, params, buffers, states, numbers, strengths)


def slices_of(sources: Sequence[Source]) -> list[Slice]:
    """Return the slices of runs that are sorted by update."""
    updates = [source.update for source in sources]
    kinds = dict.fromkeys(updates)
    starts = [updates.index(update) for update in kinds]
    stops = [*starts[1:], len(updates)]
    return [Slice(*ends) for ends in zip(kinds, starts, stops, strict=True)]


def _side_by_side(trees: Sequence[Any]) -> Any:
    return tree_map(lambda *tensors: torch.stack(tensors), *trees)


def _columns(things: Sequence[Any], names: Sequence[str], device: torch.device) -> Tensors:
    """Return one float64 tensor for each name, with the number of each thing."""
    numbers = {name: [getattr(thing, name) for thing in things] for name in names}
    return {n: torch.tensor(v, dtype=torch.float64, device=device) for n, v in numbers.items()}


def _picked(tree: Any, places: Sequence[int]) -> Any:
    """Return some rows of every tensor."""

    def rows(tensor: Tensor) -> Tensor:
        return tensor.index_select(0, torch.tensor(places, device=tensor.device))

    return tree_map_only(Tensor, rows, tree)
