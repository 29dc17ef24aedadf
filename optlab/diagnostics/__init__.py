"""What is measured inside a network while it trains, one quantity per file."""

from optlab.diagnostics.drift import Drift
from optlab.diagnostics.flow import dead_units, gradient_flow
from optlab.diagnostics.lag_gradients import gradient_by_lag
from optlab.diagnostics.monitor import GradientMonitor
from optlab.diagnostics.quantity import Quantity
from optlab.diagnostics.undisturbed import undisturbed

__all__ = [
    "Drift",
    "GradientMonitor",
    "Quantity",
    "dead_units",
    "gradient_by_lag",
    "gradient_flow",
    "undisturbed",
]
