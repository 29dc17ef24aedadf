"""Sources of data. Importing this package registers every task."""

from optlab.tasks import digits, features, functions, logic, regression, synthetic, vision
from optlab.tasks.base import Data, Split, Task

__all__ = [
    "Data",
    "Split",
    "Task",
    "digits",
    "features",
    "functions",
    "logic",
    "regression",
    "synthetic",
    "vision",
]
