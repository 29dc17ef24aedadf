"""The contract of an optimizer: every promise, in the order in which it is checked and shown."""

from optlab.check import fast, first, hyperparameters, minima, optimizers, programs, state, update
from optlab.check.promise import Promise

KINDS = (first, hyperparameters, update, state, programs, minima, optimizers, fast)

PROMISES = tuple(
    entry for kind in KINDS for entry in vars(kind).values() if isinstance(entry, Promise)
)
