import signal
import socket
import sys
import urllib.request
import webbrowser
from pathlib import Path

import pytest

from optlab.cli import main
from optlab.dashboard import board as module
from tests.dashboard.conftest import board
from tests.loggers.test_tensorboard import WAIT_S, eventually


def children(process: int) -> list[int]:
    """Return the processes that a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with_parent = path.read_text().rpartition(") ")[2].split()
        if int(with_parent[1]) == process:
            found.append(int(path.parent.name))
    return found


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_address_answers_and_a_signal_ends_all_of_it(
    swept: Path, number: signal.Signals, code: int
) -> None:
    with board(swept, "--port", "0") as (process, line):
        assert line.startswith("http://localhost:")
        with urllib.request.urlopen(line, timeout=WAIT_S) as page:
            assert "TensorBoard" in page.read().decode()
        started = children(process.pid)
        process.send_signal(number)
        printed, said = process.communicate(timeout=WAIT_S)
        assert (process.returncode, printed) == (code, "")
        assert "Traceback" not in said
        eventually(lambda: not any(map(is_running, started)), "end of what it started")


def refused(folder: Path, *flags: str) -> str:
    """Return the one line that a process says which does not start."""
    with board(folder, *flags) as (process, line):
        said = process.communicate(timeout=WAIT_S)[1].splitlines()
        assert (process.returncode, line, len(said)) == (2, "", 1)
        return said[0]


def test_a_taken_port_is_said(swept: Path) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(swept, "--port", str(port))
    assert said.startswith("optlab board: TensorBoard refuses")
    assert f"port {port}, it was already in use" in said


def test_a_flag_that_tensorboard_does_not_know_is_said_in_a_line(swept: Path) -> None:
    assert "--prot=1" in refused(swept, "--prot=1")


@pytest.mark.parametrize("flag", ["--logdir=elsewhere", "--inspect"])
def test_flags_that_ask_for_something_else_are_refused(
    swept: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    assert main(["board", str(swept), flag]) == 2
    assert f"leave out {flag}" in capsys.readouterr().err


def test_a_folder_without_curves_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["board", str(tmp_path)]) == 2
    assert "logger.tensorboard=false" in capsys.readouterr().err


def test_a_browser_is_shown_the_page(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def end(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", lambda address: not shown.append(address))
    monkeypatch.setattr(module, "launched", lambda folder, flags: f"http://{flags}")
    monkeypatch.setattr(module.time, "sleep", end)
    assert main(["board", str(swept), "--open", "--port", "1"]) == 130
    assert shown == ["http://['--port', '1']"]
