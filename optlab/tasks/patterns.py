"""Patterns to be completed from damaged copies: the attractors of a recurrent net (RNN-05 to 07).

Shapes: rows N, units U, input units K, target units D, last steps S, patterns P.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from optlab import seeding
from optlab.config import ConfigError
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.distinct import distinct_sequences
from optlab.tasks.splits import Rows, stratified_order, three_splits
from optlab.types import Count, Natural, Range

#: The two states of a unit are -0.9 and 0.9, which tanh reaches with finite weights.
LEVEL = 0.9

#: A share of bits to flip; from one half on, the damaged pattern is nearer to its negative.
Flips = Annotated[float, Range(low=0.0, high=0.5, open_high=True)]


@tasks.register("attractor")
@dataclass(frozen=True)
class Attractor(CheckedTask):
    """A row is a stored pattern with some bits flipped, the target the pattern itself.

    x: (N, K), the first bits of the pattern, damaged: the states in which units of a recurrent net
    start or are held. y: the first bits of the pattern, whole, to be shown over the last steps:
    (N, S, D), or (N, D) where one step is asked. As both count from the first bit, bit i given to
    unit i is asked of unit i where scores are states (``model=rnn model.outputs=units``). How many
    steps the net runs is the model's (``model.steps``). As no time is in the input, one step also
    suits a model without time.

    `Data.notes` holds ``chance_recall``, the share of rows right when one of the patterns is
    guessed; ``nearest_recall``, the share of test rows right when the nearest pattern is chosen,
    which is as well as can be done; and how many bits are flipped.

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

    patterns: Annotated[int, Range(low=2)] = 3
    units: Count = 16
    flips: Flips = 0.1
    test_flips: Flips = 0.2
    input_units: Count | None = None
    target_units: Count | None = None
    last_steps: Count = 4
    rows: Rows = 600
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "mse"

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
        train, val, test = (
            self._damaged(split.y, count, draws)
            for split, count in zip(owners, (known, known, unknown), strict=True)
        )
        nearest = (test.x @ self.stored()[:, : self._num_shown].T).argmax(1)
        notes = {
            "chance_recall": 1 / self.patterns,
            "nearest_recall": float((nearest == owners[2].y).double().mean()),
            "flipped_bits": float(known),
            "test_flipped_bits": float(unknown),
        }
        steps = None if self.last_steps == 1 else self.last_steps
        outputs = train.y.shape[-1]
        return Data(train, val, test, num_outputs=outputs, target_steps=steps, notes=notes)

    def _damaged(self, owner: Tensor, flips: int, draws: torch.Generator) -> Split:
        """Return rows of the patterns numbered ``owner``, each with ``flips`` bits turned."""
        whole = self.stored()[owner]
        shown = whole[:, : self._num_shown]
        turned = torch.rand(shown.shape, generator=draws).argsort(dim=1) < flips
        target = whole[:, : self.target_units]
        if self.last_steps > 1:
            target = target.unsqueeze(1).expand(-1, self.last_steps, -1)
        return Split(torch.where(turned, -shown, shown), target.contiguous())
