import io
import re
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console as Terminal

from optlab.loggers.console import Console
from optlab.results import RunResult, Verdict

ESCAPE = "\x1b"


@pytest.fixture
def plain() -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(Terminal(file=output)), output


@pytest.fixture
def live() -> Iterator[tuple[Console, io.StringIO]]:
    output = io.StringIO()
    console = Console(Terminal(file=output, force_terminal=True, width=160, _environ={}))
    yield console, output
    console.close()


def train(console: Console, num_epochs: int, updates_per_epoch: int = 10) -> None:
    num_updates = num_epochs * updates_per_epoch
    console.start("digits adam", num_updates)
    console.log(0, 0.0, {"loss/val": 2.3, "accuracy/val": 0.1})
    for update in range(1, num_updates + 1):
        epoch = update / updates_per_epoch
        console.log(update, epoch, {"loss/train": 0.5})
        if update % updates_per_epoch == 0:
            console.log(update, epoch, {"loss/val": 0.25, "accuracy/val": 0.875})


def test_plain_output_is_one_line_per_epoch_without_escape_codes(
    plain: tuple[Console, io.StringIO],
) -> None:
    console, output = plain
    train(console, num_epochs=3)
    console.close()
    lines = output.getvalue().splitlines()
    assert [line.split(",")[1].strip() for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]
    expected = "digits adam: update 10/30, epoch 1, train loss 0.5, val loss 0.25, "
    assert lines[0].startswith(expected + "val accuracy 0.875, ")
    assert lines[0].endswith("updates/s")
    assert ESCAPE not in output.getvalue()


@pytest.mark.parametrize("max_lines", [4, 10])
@pytest.mark.parametrize("num_epochs", [20, 57, 300])
def test_a_long_run_prints_few_lines_and_its_last_epoch(num_epochs: int, max_lines: int) -> None:
    output = io.StringIO()
    train(Console(Terminal(file=output), max_lines), num_epochs)
    lines = output.getvalue().splitlines()
    assert max_lines // 2 <= len(lines) <= max_lines
    marks = [int(line.split("update ")[1].split("/")[0]) for line in lines]
    assert marks == sorted(set(marks))
    assert marks[-1] > (1 - 1.5 / max_lines) * num_epochs * 10


def test_a_long_epoch_is_not_silent(
    plain: tuple[Console, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    console, output = plain
    monkeypatch.setattr("optlab.loggers.console.QUIET_S", 0.0)
    console.start("digits adam", 100)
    for update in range(101):
        console.log(update, update / 10, {"loss/train": 1.0})
    assert len(output.getvalue().splitlines()) == 10


def test_without_lines_on_the_way_a_run_prints_its_end(
    make_result: Callable[..., RunResult],
) -> None:
    output = io.StringIO()
    console = Console(Terminal(file=output), max_lines=0)
    train(console, num_epochs=20)
    console.finish(make_result())
    (line,) = output.getvalue().splitlines()
    assert line.startswith("digits adam: done after 400 updates")


def test_lines_on_the_way_do_not_concern_a_terminal() -> None:
    output = io.StringIO()
    terminal = Terminal(file=output, force_terminal=True, width=160, _environ={})
    console = Console(terminal, max_lines=0)
    train(console, num_epochs=3)
    console.close()
    assert "digits adam" in output.getvalue()


def test_the_end_is_one_line_with_status_and_scores(
    plain: tuple[Console, io.StringIO], make_result: Callable[..., RunResult]
) -> None:
    console, output = plain
    console.start("digits adam", 400)
    console.finish(make_result(test={"accuracy": 0.875}))
    assert output.getvalue() == (
        "digits adam: done after 400 updates in 2.0 s, "
        "val loss 0.2, val accuracy 0.9, test accuracy 0.875\n"
    )


def test_the_end_says_why_a_run_diverged_even_when_it_looks_like_markup(
    plain: tuple[Console, io.StringIO], make_result: Callable[..., RunResult]
) -> None:
    console, output = plain
    console.start("betas=[0.9,0.99] [bold]", 400)
    cause = "loss became nan at update 37"
    console.finish(make_result(status="diverged", cause=cause, updates=37, val={}))
    expected = "betas=[0.9,0.99] [bold]: diverged (loss became nan at update 37) after 37 updates"
    assert output.getvalue().startswith(expected)


def test_a_terminal_shows_a_live_bar_and_leaves_only_the_last_line(
    live: tuple[Console, io.StringIO], make_result: Callable[..., RunResult]
) -> None:
    console, output = live
    train(console, num_epochs=3)
    drawn = output.getvalue()
    assert ESCAPE in drawn
    assert "digits adam" in drawn
    console.finish(make_result())
    rest = output.getvalue()[len(drawn) :]
    assert "digits adam: done after 400 updates" in rest.splitlines()[-1]


def test_a_terminal_shows_the_latest_values_and_the_title_literally(
    live: tuple[Console, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    console, output = live
    monkeypatch.setattr("optlab.loggers.console.REFRESH_S", 0.0)
    console.start("[red]adam", 10)
    console.log(0, 0.0, {"loss/val": 2.0, "accuracy/val": 0.125})
    console.log(5, 1.0, {"loss/train": 0.75})
    console.close()
    assert "[red]adam" in output.getvalue()
    shown = "epoch 1, train loss 0.75, val loss 2, val accuracy 0.125"
    assert shown in output.getvalue()


def test_closing_before_the_start_and_twice_is_harmless(
    plain: tuple[Console, io.StringIO],
) -> None:
    console, output = plain
    console.close()
    console.close()
    assert output.getvalue() == ""


LONG = "2026-07-01_12-30-11-123456_digits_adam"


def drawn_line(width: int, monkeypatch: pytest.MonkeyPatch, scored: bool = True) -> str:
    """Return the last line that a bar draws on a terminal of a width, without escape codes."""
    monkeypatch.setattr("optlab.loggers.console.REFRESH_S", 0.0)
    clock = iter(range(10_000))
    monkeypatch.setattr("optlab.loggers.console.time.perf_counter", lambda: next(clock) * 1.0)
    output = io.StringIO()
    console = Console(Terminal(file=output, force_terminal=True, width=width, _environ={}))
    console.start(LONG, 20_000)
    scores = {"accuracy/val": 0.98765} if scored else {}
    console.log(0, 0.0, {"loss/val": 2.3, **scores})
    console.log(7400, 123.4, {"loss/train": 0.12345})
    console.close()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.getvalue())
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert max(map(len, lines)) <= width
    return lines[-1]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (60, ["37%", "epoch 123", "val accuracy 0.9877"]),
        (80, ["37%", "epoch 123", "val accuracy 0.9877", "updates/s"]),
        (100, ["37%", "epoch 123", "val accuracy 0.9877", "updates/s", " left"]),
        (120, ["37%", "epoch 123", "val accuracy 0.9877", "updates/s", " left", "digits_adam"]),
        (160, ["37%", "train loss", "val loss", "val accuracy", "updates/s", " left", LONG]),
    ],
)
def test_a_narrow_terminal_keeps_name_bar_and_the_most_important_values(
    width: int, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = drawn_line(width, monkeypatch)
    assert [part for part in shown if part not in line] == []
    assert line.startswith("20")
    assert "adam ━" in line


def test_without_an_accuracy_the_loss_is_the_most_important_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "epoch 123, val loss 2.3" in drawn_line(60, monkeypatch, scored=False)


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0.0, "0"), (0.25, "0.25"), (12.5, "12.5"), (1800.0, "1800")]
)
def test_an_epoch_is_a_plain_number(
    plain: tuple[Console, io.StringIO], epoch: float, expected: str
) -> None:
    console, output = plain
    console.start("adam", 10)
    console.log(10, epoch, {"loss/val": 1.0})
    assert f", epoch {expected}, " in output.getvalue()


def test_one_update_is_no_updates(
    plain: tuple[Console, io.StringIO], make_result: Callable[..., RunResult]
) -> None:
    console, output = plain
    console.finish(make_result(updates=1))
    assert "done after 1 update in" in output.getvalue()


def test_a_terminal_without_cursor_control_gets_plain_lines() -> None:
    output = io.StringIO()
    terminal = Terminal(file=output, force_terminal=True, width=80, _environ={"TERM": "dumb"})
    console = Console(terminal)
    train(console, num_epochs=3)
    console.close()
    assert len(output.getvalue().splitlines()) == 3
    assert ESCAPE not in output.getvalue()


VERDICTS = [Verdict(f"fault_{i}", "", f"it is {i} times too much", 6.0 - i, 0) for i in range(6)]


def test_the_line_about_a_run_is_followed_by_its_worst_verdicts(
    plain: tuple[Console, io.StringIO], make_result: Callable[..., RunResult]
) -> None:
    console, output = plain
    console.start("run", 10)
    console.finish(make_result(verdicts=VERDICTS))
    lines = output.getvalue().splitlines()
    assert lines[1:5] == [f"run: fault_{i}: it is {i} times too much" for i in range(4)]
    assert lines[5:] == ["run: and 2 more: see result.json"]


def test_a_run_among_many_has_one_line_whatever_its_verdicts(
    make_result: Callable[..., RunResult],
) -> None:
    output = io.StringIO()
    console = Console(Terminal(file=output), max_lines=0)
    console.start("run", 10)
    console.finish(make_result(verdicts=VERDICTS))
    assert len(output.getvalue().splitlines()) == 1
