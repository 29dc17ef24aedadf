"""A training process as another process sees it: where it runs, and whether it is still there.

On one machine that is certain: a process is known by its number and the moment of its birth, so
a number that was given out again deceives nobody. Of a process elsewhere (another host, another
container, the same host before it was started anew) only the time of its last sign is known.
Where there is no ``/proc``, as on macOS, every process counts as one elsewhere.
"""

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path

#: Seconds without a sign after which a process elsewhere counts as gone.
SILENT_S = 600.0


@dataclass(frozen=True)
class Process:
    """A process, for another one that wants to know whether it is still there.

    Attributes:
        host: Name of its host, for people.
        machine: What processes that can see each other have in common: one start of one kernel
            and one space of process numbers. Empty where that is unknown.
        pid: Its number there.
        born: When it began, in the kernel's own count. Empty where that is unknown.
    """

    host: str
    machine: str
    pid: int
    born: str

    def is_gone(self, silent_s: float) -> bool:
        """Say whether it has ended, given how long ago it gave its last sign, in seconds.

        A sign from the future says that some clock was set back, and counts by its distance: else
        nobody would take up the runs of a process that is gone until the clock has caught up.
        """
        if not self.machine or self.machine != _machine():
            return abs(silent_s) > SILENT_S
        return _birth(self.pid) != self.born


def this_process() -> Process:
    """Return the process that asks."""
    pid = os.getpid()
    return Process(socket.gethostname(), _machine(), pid, _birth(pid))


@functools.cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _birth(pid: int) -> str:
    """Return when the process began; empty when there is none that still runs."""
    try:
        # The name in brackets may hold anything; what follows are the fields from the third on.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    has_ended = fields[0] in ("Z", "X")  # killed, and its parent has not asked for it yet
    return "" if has_ended else fields[19]
