"""Early stopping (REG-10): end training when the validation loss no longer improves.

Source: Prechelt, "Early stopping - but when?" (1998). The notes call it with Keras' arguments and
the test set as validation data (E17); here it watches the validation split, as it should.
"""

import math
from dataclasses import dataclass


@dataclass
class EarlyStopping:
    """Counts evaluations without improvement.

    Attributes:
        patience: Training stops once this many evaluations in a row did not improve (0 counts as
            1, as in Keras); None never stops.
        min_delta: Decrease that counts as improvement for the patience; the best is the best.
        best: Lowest value so far.
        best_index: Number of the evaluation that gave it, from 0.
        improved_index: Number of the last evaluation that counted as improvement.
        count: Evaluations so far.
        to_beat: A value below this counts as improvement.
    """

    patience: int | None
    min_delta: float = 0.0
    best: float = math.inf
    best_index: int = -1
    improved_index: int = -1
    count: int = 0
    to_beat: float = math.inf

    def update(self, value: float) -> bool:
        """Take the next evaluation; return whether it is the best so far."""
        is_best = value < self.best
        if is_best:
            self.best, self.best_index = value, self.count
        if value < self.to_beat:
            self.to_beat, self.improved_index = value - self.min_delta, self.count
        self.count += 1
        return is_best

    @property
    def should_stop(self) -> bool:
        """Whether ``patience`` evaluations have passed since the last improvement."""
        waited = self.count - 1 - self.improved_index
        return self.patience is not None and waited >= max(self.patience, 1)
