"""Histories made by hand, and the facts of a run to go with them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optlab.diagnostics.verdicts import Curve, Facts, History

LN10 = 2.3026


def curve(values: Sequence[float], every: int = 100) -> Curve:
    return Curve(np.arange(len(values)) * every, np.array(values, float))


def history(curves: Mapping[str, Sequence[float]], every: int = 100) -> History:
    return History({tag: curve(values, every) for tag, values in curves.items()})


def facts(**changes: Any) -> Facts:
    given = {"updates": 1000, "updates_per_epoch": 50, "lr": 0.01, "chance_loss": LN10}
    return Facts(**given | changes)


def healthy() -> dict[str, Sequence[float]]:
    """Return a training of digits as it should be."""
    falling = np.geomspace(2.5, 0.05, 40)
    return {
        "loss/train": falling,
        "loss/val": [2.6, *np.geomspace(2.0, 0.1, 19)],
        "accuracy/train": np.linspace(0.1, 0.99, 40),
        "accuracy/val": np.linspace(0.1, 0.97, 20),
        "gradient_norm/hidden.weight": np.geomspace(1.5, 0.1, 20),
        "update_ratio/hidden.weight": [2e-3] * 20,
        "update_ratio/hidden.bias": [np.inf, *[5e-3] * 19],
        "preactivation_gradient/hidden.0": [0.05, 0.04],
        "preactivation_gradient/hidden.1": [0.08, 0.05],
        "preactivation_gradient/output": [0.15, 0.06],
        "gradient_ratio/first_last": [0.9, 0.8],
        "saturated/activation": [0.2, 0.3],
        "gate_saturated/recurrent.f": [0.0, 0.02],
        "dead/activation": [0.0, 0.02],
        "symmetric/hidden.0": [0.0, 0.0],
        "batchnorm_drift/norm": [40.0, 0.2, 0.2],
        "nonfinite": [0.0, 0.0],
    }
