"""`torch.vmap` over runs of one pure step, eagerly or compiled: a backend for every device."""

from optlab.train.stack.vmapped.backend import Vmapped
from optlab.train.stack.vmapped.refusal import NotStackable

__all__ = ["NotStackable", "Vmapped"]
