import io

import pytest
from rich.console import Console

from optlab.loggers.live_line import bar_line, clock, cut


def drawn(width: int, title: str, state: dict[str, str], important: tuple[str, ...]) -> str:
    output = io.StringIO()
    Console(file=output, width=width).print(bar_line(width, title, 1, 4, state, important))
    return output.getvalue().rstrip("\n")


@pytest.mark.parametrize("width", range(30, 100, 7))
def test_a_line_fits_and_drops_the_least_important_words_first(width: int) -> None:
    state = {"a": "a" * 10, "b": "b" * 10, "c": "c" * 10}
    line = drawn(width, "a title of some length", state, ("b", "a"))
    assert len(line) <= width
    assert " 25% " in f"{line} "
    assert ("c" * 10 in line) <= ("a" * 10 in line) <= ("b" * 10 in line)


def test_words_stand_in_the_order_of_the_state() -> None:
    line = drawn(120, "t", {"a": "first", "b": "second"}, ("b", "a"))
    assert line.endswith("25% first, second")


def test_a_title_is_cut_in_the_middle() -> None:
    assert cut("optimizer=adam,lr=0.1,seed=3", 14) == "opti..1,seed=3"
    assert cut("short", 14) == "short"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (125.4, "2:05"), (3723, "1:02:03")])
def test_a_clock_shows_hours_where_there_are_any(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
