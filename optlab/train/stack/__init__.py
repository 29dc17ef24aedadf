"""Many runs trained together, each as if it were alone."""

from optlab.train.stack.backend import Backend, Member
from optlab.train.stack.sink import Sink

__all__ = ["Backend", "Member", "Sink"]
