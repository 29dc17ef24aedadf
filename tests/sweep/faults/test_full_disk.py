"""A disk that gets full in the middle of a sweep: nothing is lost, and the rest is done later."""

import re

import pytest

from optlab.cli import main
from optlab.results import read_result
from tests.sweep.faults.names import FILLER, MENDED
from tests.sweep.faults.sweeps import MODEL, SMALL_DISK, UNSHARED, finish, start, states, swept

#: Starts a line, frees the disk that it has filled, starts it again, and saves what each leaves.
TWICE = f"""
{SMALL_DISK} || exit 99
"$@"; echo "first $?"; cp -r s "$0.first"
rm {FILLER}; export {MENDED}=yes
"$@"; echo "second $?"; cp -r s "$0.second"
"""


@pytest.mark.slow
@pytest.mark.parametrize("logged", ["logger.tensorboard=true", "logger.table=false"])
def test_what_was_done_before_the_disk_was_full_is_kept_and_the_rest_is_done_later(disk, logged):
    line = swept("s", *MODEL, "model.fault=none,fill_disk,last", logged)
    _, out, said = finish(start(*line, before=[*UNSHARED, TWICE, str(disk)]))
    assert re.findall(r"^(?:first|second) \d+$", out, re.MULTILINE) == ["first 1", "second 0"]
    first, second = disk.with_suffix(".first"), disk.with_suffix(".second")
    assert states(first)["fault=none"] == "done"
    assert {states(first)[name] for name in ("fault=fill_disk", "fault=last")} <= {
        "queued",
        "running",
    }
    assert set(states(second).values()) == {"done"}
    kept = [read_result(left / "fault=none") for left in (first, second)]
    assert kept[0] == kept[1]
    assert said.count("free some space and start the same line again") == 1
    assert "Traceback" not in said


def test_so_it_is_where_the_system_refuses_to_make_a_file_longer(plugin, folder, monkeypatch):
    line = swept("s", *MODEL, "model.fault=none,limit_files,last")
    code, _, said = finish(start(*line))
    assert code == 1
    assert states(folder / "s")["fault=none"] == "done"
    before = read_result(folder / "s" / "fault=none")
    assert "Traceback" not in said
    (sentence,) = [text for text in said.splitlines() if text.startswith("optlab sweep: ")]
    assert sentence.endswith("start the same line again")
    monkeypatch.setenv(MENDED, "yes")
    assert main(line) == 0
    assert set(states(folder / "s").values()) == {"done"}
    assert read_result(folder / "s" / "fault=none") == before
