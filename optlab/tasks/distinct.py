"""Random rows of which no two are alike, so that no test row was trained on.

Shapes: rows N, time T, items K.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from optlab.config import ConfigError

#: As many sequences can be laid out one after the other and shuffled; beyond, repeats are rare.
_ENUMERABLE = 2**20
#: Numbers below this one are int64.
_COUNTABLE = 2**63


def distinct_sequences(rows: int, length: int, symbols: int, draws: torch.Generator) -> Tensor:
    """Return different sequences of the symbols 0 to ``symbols - 1``, drawn uniformly.

    Args:
        rows: N, sequences to draw.
        length: T, symbols in each.
        symbols: How many symbols there are.
        draws: Source of the sequences.

    Returns:
        Shape (N, T), int64.

    Raises:
        ConfigError: When there are fewer than ``rows`` such sequences.
    """
    total = symbols**length
    if total < rows:
        raise ConfigError(
            f"rows must be at most {total}, the different sequences of length {length} over "
            f"{symbols} symbols, got {rows} (task.rows); ask for fewer rows or longer sequences"
        )
    if total <= max(_ENUMERABLE, 2 * rows):
        number = torch.randperm(total, generator=draws)[:rows]
        return number[:, None] // _weights(length, symbols) % symbols
    return _without_repeats(
        rows,
        lambda count: torch.randint(symbols, (count, length), generator=draws),
        lambda sequences: _kinds(sequences, symbols),
    )


def distinct_choices(rows: int, items: int, chosen: int, draws: torch.Generator) -> Tensor:
    """Return different choices of ``chosen`` of K items, drawn uniformly: at most as many as exist.

    Args:
        rows: N, choices to draw.
        items: K.
        chosen: How many items a choice has.
        draws: Source of the choices.

    Returns:
        Which items are chosen, shape (N, K) or shorter, boolean.
    """
    total = math.comb(items, chosen)
    if total <= 2 * rows:
        places = torch.tensor([*itertools.combinations(range(items), chosen)], dtype=torch.int64)
        every = torch.zeros(total, items, dtype=torch.bool).scatter_(1, places, True)
        return every[torch.randperm(total, generator=draws)[:rows]]
    return _without_repeats(
        rows,
        lambda count: torch.rand(count, items, generator=draws).argsort(dim=1) < chosen,
        lambda masks: _kinds(masks.long(), 2),
    )


def _without_repeats(
    count: int, draw: Callable[[int], Tensor], kinds: Callable[[Tensor], Tensor]
) -> Tensor:
    """Draw rows, and those that repeat an earlier one anew, until there are none.

    Args:
        count: N. Where there are twice as many rows to draw from, repeats at least halve.
        draw: ``draw(n)`` gives n rows.
        kinds: Gives rows (N, T) a number each, (N,), equal where they are alike.
    """
    rows, place = draw(count), torch.arange(count)
    while True:
        kind = torch.unique(kinds(rows), return_inverse=True)[1]
        first = place.new_full((count,), count).scatter_reduce(0, kind, place, "amin")
        repeats = place != first[kind]
        left = int(repeats.sum())
        if left == 0:
            return rows
        rows[repeats] = draw(left)


def _kinds(sequences: Tensor, symbols: int) -> Tensor:
    """Return a number for each sequence (N, T), the same for the same sequence."""
    length = sequences.shape[1]
    if symbols**length < _COUNTABLE:
        return sequences.mv(_weights(length, symbols))
    kinds: Tensor = torch.unique(sequences, dim=0, return_inverse=True)[1]
    return kinds


def _weights(length: int, symbols: int) -> Tensor:
    """Return what each step adds to the number of a sequence, (T,)."""
    return symbols ** torch.arange(length)
