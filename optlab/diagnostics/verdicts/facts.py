"""What the rules need to know of a run beside its records."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """Plain facts of one run.

    Attributes:
        updates: Updates made.
        updates_per_epoch: Updates of one pass over the training rows.
        diverged: What its end says, such as "the training loss became nan at update 37"; empty
            for a run whose loss stayed finite.
        lr: Learning rate before any schedule; None where the optimizer has none.
        clip_norm: Largest norm of all gradients together, where they are clipped.
        clip_value: Largest absolute value in a gradient, where they are clipped.
        sizes: Number of elements of each parameter, by name.
        layers: Names of the modules with weights, in the order of the model.
        rectified: Names of the activations whose flat side has the slope 0, as ReLU's.
        chance_loss: Training loss of scores that are all 0: what knowing nothing costs. None where
            that means nothing, as on a test function.
        restores_best: Whether the run ends with the weights of its best evaluation.
    """

    updates: int
    updates_per_epoch: int
    diverged: str = ""
    lr: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    rectified: frozenset[str] = frozenset()
    chance_loss: float | None = None
    restores_best: bool = False

    def epoch(self, update: int) -> float:
        """Return an update in passes over the training rows."""
        return update / self.updates_per_epoch
