"""Random sequences of symbols of which no two are alike, so that no test row was trained on.

Shapes: rows N, time T.
"""

import torch
from torch import Tensor

from optlab.config import ConfigError

#: As many sequences can be laid out one after the other and shuffled; beyond, repeats are rare.
_ENUMERABLE = 2**20


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
    if total <= _ENUMERABLE:
        number = torch.randperm(total, generator=draws)[:rows]
        weight = symbols ** torch.arange(length)
        return number[:, None] // weight % symbols
    return _redrawn(torch.randint(symbols, (rows, length), generator=draws), symbols, draws)


def _redrawn(sequences: Tensor, symbols: int, draws: torch.Generator) -> Tensor:
    """Draw rows that repeat an earlier one anew until there are none."""
    place = torch.arange(len(sequences))
    while True:
        kind = torch.unique(sequences, dim=0, return_inverse=True)[1]
        first = place.new_full((len(place),), len(place)).scatter_reduce(0, kind, place, "amin")
        repeats = place != first[kind]
        count = int(repeats.sum())
        if count == 0:
            return sequences
        size = (count, sequences.shape[1])
        sequences[repeats] = torch.randint(symbols, size, generator=draws)
