"""What is measured inside a network while it trains, one quantity per file."""

from optlab.diagnostics.drift import Drift
from optlab.diagnostics.flow import dead_units, gradient_flow
from optlab.diagnostics.lag_gradients import gradient_by_lag
from optlab.diagnostics.layer_norms import layer_norms
from optlab.diagnostics.monitor import GradientMonitor
from optlab.diagnostics.quantity import Quantity
from optlab.diagnostics.undisturbed import undisturbed
from optlab.diagnostics.update_ratios import update_ratios

__all__ = [
    "Drift",
    "GradientMonitor",
    "Quantity",
    "dead_units",
    "gradient_by_lag",
    "gradient_flow",
    "layer_norms",
    "undisturbed",
    "update_ratios",
]
