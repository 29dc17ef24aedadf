"""When the state of a training is kept, and what is kept beside it."""

import time
from collections.abc import Callable
from typing import Any

from optlab.saying import warn
from optlab.stopping import Stop
from optlab.train.checkpoint import Checkpoints, Content, NotKept
from optlab.train.stack.checkpointer import State

#: Times what a checkpoint took pass before the next: it costs two percent of the time at most.
REST = 50.0


class Keeper:
    """A `optlab.train.stack.checkpointer.Checkpointer` that writes files, and hears signals.

    Args:
        checkpoints: Where to keep states.
        every_s: Seconds between two of them; 0 for every chance, None for none at all.
        stop: Whether the training is to end after its present update.
        beside: Returns what else is kept with a state, such as how far the records are.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        every_s: float | None,
        stop: Stop,
        beside: Callable[[], Content],
    ) -> None:
        self._checkpoints, self._every_s, self._stop = checkpoints, every_s, stop
        self._beside = beside
        self._asked_s = time.monotonic()
        self._due_s = self._asked_s + (every_s or 0.0)

    def is_due(self) -> bool:
        """Return whether the state is wanted now; see `Checkpointer`."""
        self._asked_s = time.monotonic()
        return self._stop.is_asked or (self._every_s is not None and self._asked_s >= self._due_s)

    def keep(self, state: State) -> None:
        """Write the state, and end the training if that was asked for.

        Raises:
            KeyboardInterrupt: When it was.
            OSError: When the state cannot be written.
        """
        if self._every_s is not None:
            self._write(state, self._every_s)
        self._stop.end_if_asked()

    def _write(self, state: State, every_s: float) -> None:
        content = {**self._beside(), "updates": state.updates, "state": _content_of(state)}
        try:
            self._checkpoints.write(state.updates, content)
        except NotKept as reason:
            self._every_s = None
            warn(
                f"[optlab] no checkpoints of this training: {reason}; if it is stopped, it begins "
                "anew"
            )
        ended = time.monotonic()
        self._due_s = ended + (max(every_s, REST * (ended - self._asked_s)) if every_s else 0.0)


def state_from(content: Content) -> State:
    """Return the state that `Keeper` wrote."""
    state = content["state"]
    return State(content["updates"], state["runs"], dict(state["random"]))


def _content_of(state: State) -> dict[str, Any]:
    return {"runs": state.runs, "random": state.random}
