"""Whether a process is still there."""

import dataclasses
import os
import subprocess
import sys

import pytest

from optlab.sweep.process import SILENT_S, this_process

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc")


def test_this_process_is_not_gone_however_silent_it_was():
    assert not this_process().is_gone(10 * SILENT_S)


def test_a_number_that_was_given_out_again_deceives_nobody():
    assert dataclasses.replace(this_process(), born="1").is_gone(0.0)


def test_processes_are_told_apart_by_their_birth():
    ask = (
        "from optlab.sweep.process import this_process as p; print(p().machine, p().born, sep='|')"
    )
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    machine, born = said.stdout.strip().split("|")
    assert machine == this_process().machine
    assert int(born) > int(this_process().born)


def test_a_process_that_has_ended_is_gone_at_once():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert dataclasses.replace(this_process(), pid=ended.pid).is_gone(0.0)


@pytest.mark.parametrize("machine", ["another", ""])
def test_of_a_process_elsewhere_only_its_silence_is_known(machine):
    elsewhere = dataclasses.replace(this_process(), machine=machine, born="1")
    assert not elsewhere.is_gone(SILENT_S)
    assert elsewhere.is_gone(SILENT_S + 1)
