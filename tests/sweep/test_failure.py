"""Whose fault an error is: a run's, the memory's, or nobody's."""

import errno

import pytest
import torch

from optlab.sweep.failure import Failure
from optlab.sweep.ledger_file import LedgerError


def real_out_of_memory():
    """Return what PyTorch raises for a tensor that no machine can hold."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**59)
    return caught.value


MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    real_out_of_memory(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]
OTHER = [ValueError("not enough memory"), RuntimeError("no luck"), OSError(errno.EACCES, "no")]


@pytest.mark.parametrize("error", MEMORY, ids=lambda error: type(error).__name__)
def test_memory_that_ran_out_is_known_however_it_is_told(error):
    failure = Failure.of(error)
    assert failure.is_memory
    assert not failure.is_of_nobody
    assert failure.of_alone("lr=1").startswith("MemoryError: run lr=1 alone runs out of memory; ")
    assert "make trainer.batch_size or the model smaller" in failure.of_alone("lr=1")


@pytest.mark.parametrize("error", OTHER, ids=lambda error: type(error).__name__)
def test_any_other_error_keeps_its_words(error):
    failure = Failure.of(error)
    assert not failure.is_memory
    assert failure.of_alone("lr=1") == failure.cause


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_what_cannot_be_written_is_nobodys_fault(number):
    assert Failure.of(OSError(number, "no")).is_of_nobody
    assert Failure.of(LedgerError("it is locked")).is_of_nobody
    assert not Failure.of(OSError(errno.EACCES, "no")).is_of_nobody  # one folder's


def test_a_failure_keeps_no_tensors_alive():
    def fail():
        tensor = torch.zeros(3)
        raise ValueError(tensor.shape)

    with pytest.raises(ValueError, match="3") as caught:
        fail()
    failure = Failure.of(caught.value)
    assert failure.error.__traceback__ is None
    assert "test_failure.py" in failure.line
