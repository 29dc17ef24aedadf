"""What ended runs that were training together, and whose fault that may be."""

import errno
from dataclasses import dataclass

import torch

from optlab.sweep.cause import cause_of
from optlab.sweep.ledger_file import LedgerError

#: Errors of the system when nothing more can be written.
NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)

#: What PyTorch says where memory runs out on the CPU; it has no class of its own for that.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Failure:
    """An error of some runs.

    Attributes:
        error: What was raised, without the frames that hold tensors.
        cause: The same in words, with its place.
    """

    error: BaseException
    cause: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the failure, and take from the error what it holds on to."""
        cause = cause_of(error)
        error.__cause__ = error.__context__ = None
        return cls(error.with_traceback(None), cause)

    @property
    def line(self) -> str:
        """First line of the cause."""
        return self.cause.partition("\n")[0]

    @property
    def is_of_nobody(self) -> bool:
        """Whether nothing can be recorded any more, which every other run would meet, too."""
        is_written = isinstance(self.error, OSError) and self.error.errno in NO_PLACE
        return is_written or isinstance(self.error, LedgerError)

    @property
    def is_memory(self) -> bool:
        """Whether memory ran out."""
        if isinstance(self.error, OSError):
            return self.error.errno == errno.ENOMEM
        is_told = isinstance(self.error, RuntimeError) and any(
            words in self.cause for words in OUT_OF_MEMORY
        )
        return isinstance(self.error, MemoryError | torch.OutOfMemoryError) or is_told

    def of_alone(self, name: str) -> str:
        """Return the cause for a run that was trained alone, with what to do if that is known."""
        if not self.is_memory:
            return self.cause
        return (
            f"MemoryError: run {name} alone runs out of memory; make trainer.batch_size or the "
            f"model smaller, or use another device ({self.line})"
        )
