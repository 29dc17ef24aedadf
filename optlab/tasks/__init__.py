"""Sources of data. Importing this package registers every task."""

from optlab.tasks import (
    adding,
    bits,
    digits,
    features,
    functions,
    logic,
    patterns,
    recall,
    regression,
    sequences,
    sequential_digits,
    synthetic,
    text,
    vision,
)
from optlab.tasks.base import Data, Split, Task

__all__ = [
    "Data",
    "Split",
    "Task",
    "adding",
    "bits",
    "digits",
    "features",
    "functions",
    "logic",
    "patterns",
    "recall",
    "regression",
    "sequences",
    "sequential_digits",
    "synthetic",
    "text",
    "vision",
]
