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
        min_delta: Decrease that counts as improvement.
        best: Lowest value so far.
        best_index: Number of the evaluation that gave it, from 0.
    """

    patience: int | None
    min_delta: float = 0.0
    best: float = math.inf
    best_index: int = -1
    count: int = 0

    def update(self, value: float) -> bool:
        """Take the next evaluation; return whether it is the best so far."""
        improved = value < self.best - (self.min_delta if math.isfinite(self.best) else 0.0)
        if improved:
            self.best, self.best_index = value, self.count
        self.count += 1
        return improved

    @property
    def should_stop(self) -> bool:
        """Whether ``patience`` evaluations have passed since the best one."""
        waited = self.count - 1 - self.best_index
        return self.patience is not None and waited >= max(self.patience, 1)
