"""Places that cannot be written, and ledgers that others hold: nothing that was there is lost."""

import pytest

from optlab.cli import main
from tests.sweep.faults.names import MENDED
from tests.sweep.faults.sweeps import MODEL, SMALL_DISK, UNSHARED, finish, start, states, swept

#: Makes a disk, starts a line on it, then another one while nothing can be written there.
READ_ONLY = f"""
{SMALL_DISK} || exit 99
"$@" model.fault=none; echo "first $?"
mount -o remount,ro "$0"
"$@" model.fault=none,last --extend; echo "second $?"
cp -r s "$0.left"
"""

#: The command line, which waits for others no longer than a test can.
IMPATIENT = """
import sys
from optlab.sweep import ledger_file
ledger_file.BUSY_S = 0.5
from optlab.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["sweep", "train"])
def test_a_folder_that_cannot_be_made_is_one_sentence(folder, capsys, command):
    (folder / "file").write_text("not a folder")
    place = "sweep.dir" if command == "sweep" else "hydra.run.dir"
    words = [word for word in swept("s")[1:] if not word.startswith("sweep.")]
    assert main([command, *words, f"{place}={folder}/file/runs"]) == 1
    said = capsys.readouterr().err
    assert f"optlab {command}: Not a directory ({folder}/file" in said
    assert "a file stands in its way: move it away, or choose another folder" in said
    assert (folder / "file").read_text() == "not a folder"


@pytest.mark.slow
def test_a_disk_that_became_read_only_keeps_what_was_recorded(disk):
    code, out, said = finish(start(*swept("s", *MODEL), before=[*UNSHARED, READ_ONLY, str(disk)]))
    assert (code, out.split()[-1]) == (0, "1")
    assert "first 0" in out
    assert "cannot be opened for writing; make file and folder writable, or choose" in said
    assert "Traceback" not in said
    assert states(disk.with_suffix(".left")) == {"run": "done"}


def test_a_ledger_that_another_process_holds_loses_nothing(plugin, folder, monkeypatch):
    line = swept("s", *MODEL, "model.fault=none,lock_ledger,last")
    code, _, said = finish(start(*line, script=IMPATIENT))
    assert code == 1
    assert "ledger.sqlite has been locked by another process for 0.5 s; end that process" in said
    assert "Traceback" not in said
    assert states(folder / "s")["fault=none"] == "done"
    monkeypatch.setenv(MENDED, "yes")
    assert main(line) == 0
    assert set(states(folder / "s").values()) == {"done"}
