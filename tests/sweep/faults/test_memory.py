"""Memory that runs out: an array is halved until it fits, and a run too large alone is named."""

import resource

import pytest
import torch

from optlab.cli import main
from optlab.train.stack.loop import StackTraining
from tests.sweep.faults.sweeps import MODEL, STACK, causes, finish, start, states, swept

GIB = 2**30

#: Starts the command line in a process that may have this much memory.
LIMITED = """
import resource, sys
from optlab.cli import main
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
raise SystemExit(main(sys.argv[2:]))
"""


def test_a_run_for_which_the_system_has_no_memory_is_named_and_the_others_finish(plugin, folder):
    line = swept("s", *MODEL, "model.fault=none,allocate,last")
    limit = resource.getrlimit(resource.RLIMIT_AS)
    code, _, said = finish(start(*line, script=LIMITED, arguments=[str(8 * GIB)]))
    assert resource.getrlimit(resource.RLIMIT_AS) == limit
    assert code == 1
    assert states(folder / "s") == {
        "fault=none": "done",
        "fault=allocate": "failed",
        "fault=last": "done",
    }
    cause = causes(folder / "s")["fault=allocate"]
    assert cause.startswith("MemoryError: run fault=allocate alone runs out of memory; make")
    assert "can't allocate memory" in cause
    assert "  failed: fault=allocate: MemoryError: run fault=allocate alone runs out" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_stack_for_which_there_is_no_memory_is_halved(plugin, folder, monkeypatch, capsys, error):
    fit = StackTraining.fit

    def small_memory(self, *arguments, **options):
        if len(self.courses) > 2:
            raise error
        return fit(self, *arguments, **options)

    monkeypatch.setattr(StackTraining, "fit", small_memory)
    assert main(swept("s", *STACK, "optimizer.lr=0.1,0.2,0.3,0.4,0.5")) == 0
    assert set(states(folder / "s").values()) == {"done"}
    assert "5 runs ran out of memory and train as 3 and 2\n" in capsys.readouterr().err


def test_a_model_too_large_for_the_device_fails_alone(plugin, folder, capsys):
    assert main(swept("s", *MODEL, "model.fault=none,out_of_memory")) == 1
    assert states(folder / "s") == {"fault=none": "done", "fault=out_of_memory": "failed"}
    assert "make trainer.batch_size or the model smaller" in capsys.readouterr().err
