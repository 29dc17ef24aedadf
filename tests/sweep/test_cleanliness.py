"""Nothing is left behind by a command, and nothing is said that nobody asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LEAVING = Path(__file__).parent / "leaving.py"
TINY = ["task=xor", "model.hidden=[4]", "trainer.epochs=3"]
LINES = {
    "sweep": (0, ["sweep", *TINY, "seed=0,1", "sweep.dir=sweep"]),
    "resumed": (0, ["sweep", "--resume", "sweep"]),
    "extended": (0, ["sweep", *TINY, "seed=2,3", "sweep.dir=sweep", "--extend"]),
    "workers": (0, ["sweep", *TINY, "seed=0,1", "sweep.dir=workers", "sweep.workers=2"]),
    "interrupted": (130, ["interrupted", "sweep", *TINY, "seed=0,1", "sweep.dir=stopped"]),
    "failed": (1, ["train", "-m", *TINY, "optimizer.lr=0.1,-1", "sweep.dir=failed"]),
    "run": (0, ["train", *TINY, "hydra.run.dir=run"]),
    "again": (0, ["train", *TINY, "hydra.run.dir=run"]),
    "interrupted run": (130, ["interrupted", "train", *TINY, "hydra.run.dir=stopped_run"]),
    "mistake": (2, ["train", "optimizer.beta2=2"]),
    "report": (0, ["report", "sweep"]),
    "status": (0, ["sweep", "--status", "sweep"]),
}
#: Python says of every file that is not closed, and of whatever else it would keep to itself.
STRICT = {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What each line leaves in its process: (code, files, children, threads); and its stderr."""
    warm = ["sweep", *TINY, "seed=0", "sweep.dir=warm"]
    lines = [warm, *(line for _, line in LINES.values())]
    done = subprocess.run(
        [sys.executable, str(LEAVING), json.dumps(lines)],
        cwd=tmp_path_factory.mktemp("leaving"),
        env={**os.environ, **STRICT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = map(json.loads, done.stdout.splitlines())
    return dict(zip(LINES, answers, strict=True)), done.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files")
@pytest.mark.parametrize("name", LINES)
def test_no_file_process_or_thread_is_left(left, name):
    code, files, children, threads = left[0][name]
    assert code == LINES[name][0]
    assert files == []
    assert children == []
    assert [t for t in threads if not t.startswith("optlab-compiler")] == ["MainThread"]


def test_python_has_nothing_to_warn_of(left):
    assert "Warning" not in left[1]
    assert "Traceback" not in left[1]
