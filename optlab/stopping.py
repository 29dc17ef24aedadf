"""Signals that ask a training to end: heard between two updates first, at once the second time."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NOTE = b"\noptlab: stopping after this update; once more stops at once\n"


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as a cluster does at the end of a time slot."""


class Stop:
    """Whether somebody has asked for an end.

    Attributes:
        signal: The signal that asked, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether somebody has."""
        return self.signal is not None

    def end_if_asked(self) -> None:
        """Raise what the signal means.

        Raises:
            KeyboardInterrupt: After SIGINT.
            Terminated: After SIGTERM.
        """
        if self.signal is not None:
            raise interrupt_of(self.signal)


def interrupt_of(number: int) -> KeyboardInterrupt:
    """Return what a signal raises."""
    if number == signal.SIGTERM:
        return Terminated("stopped by SIGTERM")
    return KeyboardInterrupt("stopped by hand")


@contextmanager
def listening() -> Iterator[Stop]:
    """Let the first SIGINT or SIGTERM only ask for an end; a second one ends at once.

    Whoever trains looks at `Stop.is_asked` between updates, and at the end, when there is more to
    do. Where signals cannot be heard, in a thread, nothing is asked.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if stop.is_asked:
            raise interrupt_of(number)
        stop.signal = number
        os.write(2, NOTE)  # print is not safe here: the signal may have come in the midst of one

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
