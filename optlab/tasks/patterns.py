"""Patterns to be completed from damaged copies: the attractors of a recurrent net (RNN-05 to 07).

Shapes: rows N, units U, input units K, target units D, last steps S, patterns P.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from optlab import seeding
from optlab.config import ConfigError
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.distinct import distinct_choices, distinct_sequences
from optlab.tasks.splits import Rows, stratified_order, three_splits
from optlab.types import Depth, Natural, Range, Width

#: The two states of a unit are -0.9 and 0.9, which tanh reaches with finite weights.
LEVEL = 0.9

#: A share of bits to flip; from one half on, the damaged pattern is nearer to its negative.
Flips = Annotated[float, Range(low=0.0, high=0.5, open_high=True)]


def exact_recall(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the share of rows in which every bit has its sign, at every step that is asked.

    Args:
        prediction: (N, D), or (N, S, D); 0 is no sign.
        target: Patterns, shaped like ``prediction``.

    Returns:
        Shape (), float32.
    """
    return torch.mean((prediction * target > 0).flatten(1).all(1), dtype=torch.float32)


@tasks.register("attractor")
@dataclass(frozen=True)
class Attractor(CheckedTask):
    """A row is a stored pattern with some bits flipped, the target the pattern itself.

    x: (N, K), the first bits of the pattern, damaged: the states in which units of a recurrent net
    start or are held. y: the first bits of the pattern, whole, to be shown over the last steps:
    (N, S, D), or (N, D) where one step is asked. As both count from the first bit, bit i given to
    unit i is asked of unit i where scores are states (``model=rnn model.outputs=units``). How many
    steps the net runs is the model's (``model.steps``). As no time is in the input, one step also
    suits a model without time. What a run is after is `exact_recall`.

    Splits damage a pattern in ways of their own: no validation or test row stands in training,
    unless there are too few ways (one, where no bit is flipped), or patterns so alike that damage
    makes them equal. Within a split ways repeat, as evenly as can be, where rows outnumber them.

    `Data.notes` holds ``chance_recall``, the share of rows right when one of the patterns is
    guessed; ``nearest_recall``, the share of test rows right when the nearest pattern is chosen,
    which is as well as can be done; how many bits are flipped; and ``val_rows_in_train`` and
    ``test_rows_in_train``, the shares of rows whose input is that of a training row.

    Attributes:
        patterns: P, patterns to store; the bits shown of any two differ.
        units: U, bits of a pattern, -0.9 or 0.9.
        flips: Share of the shown bits flipped in a training or validation row, rounded to bits.
        test_flips: Share of the shown bits flipped in a test row.
        input_units: K, how many bits are shown, from the first on; None shows all.
        target_units: D, how many bits are asked for, from the first on; None asks for all.
        last_steps: S, steps over which the target holds; with 1 only the final state counts.
        rows: Rows of all splits together, as equally divided among the patterns as can be.
        data_seed: Seed of patterns, flips and split.
    """

    patterns: Annotated[int, Range(low=2, high=2**20)] = 3
    units: Width = 16
    flips: Flips = 0.1
    test_flips: Flips = 0.2
    input_units: Width | None = None
    target_units: Width | None = None
    last_steps: Depth = 4
    rows: Rows = 600
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "mse"
    metrics: ClassVar[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = MappingProxyType(
        {"recall": exact_recall}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("input_units", "target_units"):
            count = getattr(self, name)
            if count is not None and count > self.units:
                raise ConfigError(
                    f"{name} must be at most units={self.units}, got {count} (task.{name})"
                )
        if self.patterns > 2**self._num_shown:
            raise ConfigError(
                f"patterns must be at most {2**self._num_shown}, as many as {self._num_shown} "
                f"shown bits can tell apart, got {self.patterns} (task.patterns)"
            )

    @property
    def _num_shown(self) -> int:
        return self.units if self.input_units is None else self.input_units

    def stored(self) -> Tensor:
        """Return the patterns, shape (P, U), of -0.9 and 0.9."""
        draws = seeding.generator(self.data_seed, "data", "patterns")
        shown = distinct_sequences(self.patterns, self._num_shown, 2, draws)
        hidden = torch.randint(2, (self.patterns, self.units - self._num_shown), generator=draws)
        return LEVEL * (2 * torch.cat([shown, hidden], dim=1) - 1).to(torch.float32)

    def load(self) -> Data:
        """Copy the patterns, damage what is shown, ask for the rest."""
        draws = seeding.generator(self.data_seed, "data")
        owner = torch.arange(self.rows) % self.patterns
        owners = three_splits(owner, owner, stratified_order(owner, draws))
        counts = [round(share * self._num_shown) for share in (self.flips, self.test_flips)]
        known, unknown = counts
        train_owner, val_owner, test_owner = (split.y for split in owners)
        if known == unknown:
            flips = self._flips([train_owner, val_owner, test_owner], known, draws)
        else:
            flips = self._flips([train_owner, val_owner], known, draws)
            flips += self._flips([test_owner], unknown, draws)
        train, val, test = (
            self._damaged(split.y, turned) for split, turned in zip(owners, flips, strict=True)
        )
        nearest = (test.x @ self.stored()[:, : self._num_shown].T).argmax(1)
        notes = {
            "chance_recall": 1 / self.patterns,
            "nearest_recall": float((nearest == owners[2].y).double().mean()),
            "flipped_bits": float(known),
            "test_flipped_bits": float(unknown),
            "val_rows_in_train": _share_in(train.x, val.x),
            "test_rows_in_train": _share_in(train.x, test.x),
        }
        steps = None if self.last_steps == 1 else self.last_steps
        outputs = train.y.shape[-1]
        return Data(train, val, test, num_outputs=outputs, target_steps=steps, notes=notes)

    def _flips(self, owners: Sequence[Tensor], flips: int, draws: torch.Generator) -> list[Tensor]:
        """Return which bits to turn, (N, K), in splits that share no damage of a pattern.

        Args:
            owners: Number of the pattern of each row, (N,), for each split.
            flips: How many bits to turn in a row.
            draws: Source of the bits.
        """
        turned = [torch.zeros(len(rows), self._num_shown, dtype=torch.bool) for rows in owners]
        for pattern in range(self.patterns):
            places = [(rows == pattern).nonzero()[:, 0] for rows in owners]
            sizes = [len(place) for place in places]
            ways = distinct_choices(sum(sizes), self._num_shown, flips, draws)
            for split, place, own in zip(turned, places, _shared_out(ways, sizes), strict=True):
                split[place] = own[torch.arange(len(place)) % len(own)]
        return turned

    def _damaged(self, owner: Tensor, turned: Tensor) -> Split:
        """Return rows of the patterns numbered ``owner``, with the bits ``turned`` (N, K)."""
        whole = self.stored()[owner]
        shown = whole[:, : self._num_shown]
        target = whole[:, : self.target_units]
        if self.last_steps > 1:
            target = target.unsqueeze(1).expand(-1, self.last_steps, -1)
        return Split(torch.where(turned, -shown, shown), target.contiguous())


def _shared_out(ways: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Return parts of ``ways`` (M, K) in proportion to these sizes, none empty but of size 0.

    Of fewer ways than parts, all get all.
    """
    if len(ways) < sum(size > 0 for size in sizes):
        return [ways] * len(sizes)
    parts: list[Tensor] = []
    for number, size in enumerate(sizes):
        later = sizes[number + 1 :]
        fair = round(len(ways) * size / max(size + sum(later), 1))
        count = max(int(size > 0), min(fair, len(ways) - sum(other > 0 for other in later)))
        parts.append(ways[:count])
        ways = ways[count:]
    return parts


def _share_in(known: Tensor, rows: Tensor) -> float:
    """Return the share of ``rows`` (N, K) that stand among the ``known`` ones."""
    kind = torch.unique(torch.cat([known, rows]), dim=0, return_inverse=True)[1]
    return float(torch.isin(kind[len(known) :], kind[: len(known)]).double().mean())
