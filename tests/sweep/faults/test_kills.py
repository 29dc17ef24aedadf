"""Processes that end in the middle of a run: what they did is kept, and all else is done."""

import signal

import pytest

from optlab.cli import main
from optlab.results import read_result
from tests.sweep.faults.names import MENDED, RATES
from tests.sweep.faults.sweeps import MODEL, STACK, causes, finish, start, states, swept


@pytest.mark.parametrize("fault", [pytest.param("exit_at_once", marks=pytest.mark.slow), "kill"])
def test_after_a_run_that_ends_its_process_a_second_start_finishes_the_rest(
    plugin, folder, capfd, monkeypatch, fault
):
    line = swept("s", *MODEL, f"model.fault=none,{fault},last")
    code, _, _ = finish(start(*line))
    assert code == {"exit_at_once": 4, "kill": -signal.SIGKILL}[fault]
    assert states(folder / "s") == {
        "fault=none": "done",
        f"fault={fault}": "running",
        "fault=last": "queued",
    }
    before = read_result(folder / "s" / "fault=none")
    capfd.readouterr()
    assert main(line) == 1
    said = capfd.readouterr().err
    assert states(folder / "s") == {
        "fault=none": "done",
        f"fault={fault}": "killed",
        "fault=last": "done",
    }
    assert read_result(folder / "s" / "fault=none") == before
    assert "1 run that was in training when its process ended now trains in another" in said
    cause = causes(folder / "s")[f"fault={fault}"]
    assert cause.startswith("its process vanished 3 times")
    assert f"  interrupted: fault={fault}: {cause}" in said
    monkeypatch.setenv(MENDED, "yes")
    assert main(line) == 0
    assert set(states(folder / "s").values()) == {"done"}


@pytest.mark.slow
def test_a_stack_that_loses_its_process_is_done_by_the_next_start_but_for_the_guilty(
    plugin, folder, capfd
):
    rates = [0.1, 0.2, RATES["kill"], 0.3]
    line = swept("s", *STACK, f"optimizer.lr={','.join(map(str, rates))}")
    assert finish(start(*line))[0] == -signal.SIGKILL
    assert set(states(folder / "s").values()) == {"running"}
    assert main(line) == 1
    found = states(folder / "s")
    assert {name for name, state in found.items() if state != "done"} == {"lr=4.0"}
    assert "worker 1 was ended by SIGKILL" in capfd.readouterr().err


def test_a_worker_that_a_run_ends_is_named_and_the_others_finish(plugin, folder, capfd):
    line = swept("s", *MODEL, "sweep.workers=2", "model.fault=none,kill,last")
    assert main(line) == 1
    assert states(folder / "s") == {
        "fault=none": "done",
        "fault=kill": "killed",
        "fault=last": "done",
    }
    said = capfd.readouterr().err
    assert "was ended by SIGKILL" in said
    assert "  interrupted: fault=kill: its process vanished 3 times" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_run_that_lost_its_last_process_is_tried_once_at_each_start(plugin, folder, capfd):
    line = swept("s", *MODEL, "sweep.workers=2", "model.fault=kill,none")
    for losses in (3, 1, 1):
        assert main(line) == 1
        assert capfd.readouterr().err.count("was ended by SIGKILL") == losses
    assert states(folder / "s") == {"fault=kill": "killed", "fault=none": "done"}
