"""Runs lines of the command in this process and says what of each is still open or running.

``python leaving.py LINES``, JSON. Answers each but the first, by when libraries have opened what
they keep, with a line of JSON: exit code, files, children, threads.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

from optlab.cli import main


def files():
    """Return the targets of open file descriptors, by number."""
    found = {}
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing
            found[number] = os.readlink(f"/proc/self/fd/{number}")
    return found


def children():
    tasks = Path("/proc/self/task").iterdir()
    return [pid for task in tasks for pid in (task / "children").read_text().split()]


def interrupted(line):
    """Run a line and press the key for an interrupt while it trains."""
    fit = StackTraining.fit

    def stopped(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        return fit(*arguments, **options)

    StackTraining.fit = stopped
    try:
        return main(line)
    finally:
        StackTraining.fit = fit


if __name__ == "__main__":
    from optlab.train.stack.loop import StackTraining

    warm, *lines = json.loads(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        main(warm)
    kept = files()
    for line in lines:
        with contextlib.redirect_stdout(sys.stderr):
            code = interrupted(line[1:]) if line[0] == "interrupted" else main(line)
        opened = {path for number, path in files().items() if kept.get(number) != path}
        threads = [thread.name for thread in threading.enumerate()]
        answer = [code, sorted(opened), children(), threads]
        print(json.dumps(answer), flush=True)
