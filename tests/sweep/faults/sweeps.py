"""Command lines of sweeps with faults in them, and what is left of them."""

import os
import subprocess
import sys
from pathlib import Path

from optlab.results import read_result
from optlab.sweep.ledger_reader import LedgerReader

ROOT = Path(__file__).parents[3]

#: Nine updates of a linear network, without what takes time.
TINY = (
    *("task=xor", "trainer.epochs=9", "trainer.batch_size=4"),
    *("logger.tensorboard=false", "logger.console=false"),
)
MODEL = ("plugins=[faulty_plugin]", "model=faulty", "activation=identity", "sweep.engine=single")
STACK = ("plugins=[faulty_plugin]", "optimizer=faulty", "model.hidden=[]", "sweep.engine=eager")


def swept(folder, *words):
    """Return the words of ``optlab sweep`` into a folder."""
    return ["sweep", *TINY, f"sweep.dir={folder}", *words]


#: Makes a folder a disk of its own, and does something there.
SMALL_DISK = 'mount -t tmpfs -o size=16m tmpfs "$0" && cp faulty_plugin.py "$0" && cd "$0"'
UNSHARED = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]

#: The command line as ``python -m optlab`` starts it.
COMMAND = """
import sys
from optlab.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


def start(*words, script=COMMAND, arguments=(), before=()):
    """Start a script in a process of its own.

    Args:
        words: Those of the command line ``optlab``.
        script: What takes them.
        arguments: What it takes before them.
        before: A command that starts all this.
    """
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*before, sys.executable, "-c", script, *arguments, *words],
        stdout=pipe,
        stderr=pipe,
        text=True,
        env={**os.environ, **own},
    )


def finish(process):
    """Wait for a process and return (exit code, stdout, stderr)."""
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def states(folder):
    """Return the state of every run by its name."""
    with LedgerReader(folder) as ledger:
        return {entry.name: entry.state for entry in ledger.entries()}


def causes(folder):
    """Return why runs failed or were killed, by their names, as their folders have it."""
    results = {path.parent.name: read_result(path.parent) for path in folder.rglob("result.json")}
    return {n: r.cause for n, r in results.items() if r.status not in ("done", "diverged")}
