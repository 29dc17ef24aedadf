"""One line of a terminal that says how far something is: title, bar, share done, and in words."""

from collections.abc import Mapping, Sequence

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BAR, SHORTEST_BAR, SHORTEST_TITLE = 20, 5, 10  # in characters
GOOD_TITLE = 30  # enough of it before less important values are shown


def bar_line(
    width: int,
    title: str,
    done: int,
    total: int,
    state: Mapping[str, str],
    important: Sequence[str],
) -> Table:
    """Return a line that fits.

    Args:
        width: Characters in a line of the terminal.
        title: What is under way; cut where there is no room for it.
        done: How much of it is done.
        total: All of it.
        state: What else is known, in the order in which it is shown, such as
            ``{"loss": "val loss 0.12"}``.
        important: Names of what is left out of a narrow line last, the most important first.
    """
    share = f"{done / max(total, 1):4.0%}"
    room = width - len(share) - 3  # a space between any two columns
    shown = min(len(title), SHORTEST_TITLE)
    spare = min(len(title), GOOD_TITLE) - shown
    words = ", ".join(_fitting(state, important, room - shown - SHORTEST_BAR, spare))
    room -= len(words)
    shown = min(len(title), max(room - SHORTEST_BAR, SHORTEST_TITLE))
    bar = max(min(BAR, room - shown), SHORTEST_BAR)
    line = Table.grid(padding=(0, 1))
    line.add_row(
        Text(cut(title, shown), no_wrap=True),
        ProgressBar(max(total, 1), done, width=bar),
        Text(share, no_wrap=True),
        Text(words, no_wrap=True, overflow="crop"),
    )
    return line


def cut(title: str, length: int) -> str:
    """Return a title cut in the middle: its end tells runs of a sweep apart."""
    if len(title) <= length:
        return title
    head = (length - 2) // 3
    return f"{title[:head]}..{title[len(title) - (length - 2 - head) :]}"


def clock(seconds: float) -> str:
    """Return "1:02:03", or "2:03" under an hour."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _fitting(
    state: Mapping[str, str], important: Sequence[str], room: int, spare: int
) -> list[str]:
    """Return the most important parts that fit, in the order in which they are shown.

    The less important ones leave ``spare`` characters free.
    """
    known = [name for name in important if name in state]
    chosen: set[str] = set()
    for name in (*known, *state):
        length = len(", ".join(state[n] for n in {*chosen, name}))
        if length <= room - (0 if name in known else spare):
            chosen.add(name)
    return [text for name, text in state.items() if name in chosen]
