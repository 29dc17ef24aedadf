import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rich.console import Console as Terminal

from optlab.results import RunResult
from optlab.sweep.progress import MAX_LINES, Progress, Watched

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Clock:
    """A clock that moves when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("optlab.sweep.progress.time.perf_counter", clock)
    return clock


@pytest.fixture
def plain(clock: Clock) -> tuple[Progress, io.StringIO]:
    output = io.StringIO()
    return Progress(Terminal(file=output)), output


@pytest.fixture
def live(clock: Clock) -> Iterator[tuple[Progress, io.StringIO]]:
    output = io.StringIO()
    progress = Progress(Terminal(file=output, force_terminal=True, width=160, _environ={}))
    yield progress, output
    progress.close()


def ended(**fields: Any) -> RunResult:
    defaults: dict[str, Any] = {"name": "run", "status": "done", "updates": 100, "epochs": 1.0}
    scores: dict[str, Any] = {"train": {}, "val": {}, "test": {}, "total_s": 1.0}
    origin = {"training_s": 1.0, "config_hash": "0", "seed": 0, "device": "a", "started": "now"}
    return RunResult(**{**defaults, **scores, **origin, **fields})


def updates(num_runs: int) -> dict[str, int]:
    return {f"lr={i}": 100 for i in range(num_runs)}


def last_drawn(output: io.StringIO) -> str:
    lines = re.split(r"[\r\n]+", ESCAPE.sub("", output.getvalue()))
    return [line for line in lines if line.strip()][-1]


def test_a_terminal_shows_programs_runs_speed_the_best_and_the_time_left(
    live: tuple[Progress, io.StringIO], clock: Clock
) -> None:
    progress, output = live
    progress.start(2, updates(4))
    clock.now = 10.0  # compiling is on no clock
    for run, accuracy in (("lr=0", 0.5), ("lr=1", 0.875), ("lr=2", 0.25)):
        progress.evaluated(run, {"loss/val": 1.0, "accuracy/val": accuracy})
    progress.ended("lr=0", ended())
    progress.ended("lr=2", ended(status="diverged", cause="loss became nan", updates=50))
    progress.program_ended()
    clock.now = 12.0
    progress.advanced(200)
    line = last_drawn(output)
    assert line.startswith("sweep")
    assert " 57% " in line  # 200 of 400 - 50, which the diverged run will never make
    words = "1/2 programs, 1 alive, 1 done, 1 diverged, 100 run-steps/s, "
    assert words + "best val accuracy 0.875 (lr=1), 0:02 left" in line


def test_a_terminal_is_redrawn_ten_times_a_second_at_most(
    live: tuple[Progress, io.StringIO], clock: Clock
) -> None:
    progress, output = live
    progress.start(1, updates(10))
    drawings = set()
    for tick in range(1000):
        clock.now = tick / 1000
        progress.advanced(1)
        drawings.add(output.getvalue())
    assert 9 <= len(drawings) <= 11


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_narrow_terminal_keeps_to_its_width_and_to_the_state_of_the_runs(
    width: int, clock: Clock
) -> None:
    output = io.StringIO()
    progress = Progress(Terminal(file=output, force_terminal=True, width=width, _environ={}))
    progress.start(12, updates(288))
    progress.evaluated("lr=3", {"loss/val": 1.0})
    clock.now = 1.0
    progress.advanced(1000)
    line = last_drawn(output)
    assert len(line) <= width
    assert "1 alive" in line
    assert "left" in line
    assert ("best val loss 1" in line) == (width >= 80)
    assert ("lr=3" in line) == (width >= 120)


def test_elsewhere_hundreds_of_runs_give_a_few_plain_lines(
    plain: tuple[Progress, io.StringIO], clock: Clock
) -> None:
    progress, output = plain
    progress.start(4, updates(288))
    for run in updates(288):
        progress.evaluated(run, {"loss/val": 1.0})
        clock.now += 1.0
        progress.advanced(100)
        progress.ended(run, ended())
    lines = output.getvalue().splitlines()
    assert MAX_LINES - 1 <= len(lines) <= MAX_LINES
    assert lines[0].startswith("sweep: 10%, 0/4 programs, 1 alive, 28 done, 100 run-steps/s")
    assert "\x1b" not in output.getvalue()


def test_a_failed_run_has_a_line_with_its_cause_even_when_it_looks_like_markup(
    plain: tuple[Progress, io.StringIO],
) -> None:
    progress, output = plain
    progress.start(1, {"betas=[bold]": 10, "b": 10})
    progress.ended("betas=[bold]", ended(status="failed", cause="no [red] room", updates=0))
    progress.ended("b", ended(status="diverged", cause="loss became nan"))
    assert output.getvalue() == "betas=[bold]: failed: no [red] room\n"


def test_the_end_is_one_line_about_all(plain: tuple[Progress, io.StringIO], clock: Clock) -> None:
    progress, output = plain
    progress.start(1, updates(5))
    progress.evaluated("lr=0", {"loss/val": 0.25})
    progress.evaluated("lr=1", {"loss/val": float("nan")})
    progress.evaluated("lr=2", {"loss/val": 0.125})
    clock.now = 2.0
    progress.ended("lr=0", ended())
    progress.ended("lr=1", ended(status="diverged", updates=7))
    progress.ended("lr=2", ended(cause="no better validation loss since epoch 3", updates=50))
    progress.program_ended()
    progress.advanced(30)
    before = len(output.getvalue())
    progress.close()
    progress.close()
    assert output.getvalue()[before:] == (
        "sweep: 3 of 5 runs (1 done, 1 stopped early, 1 diverged), 1 of 1 programs, "
        "30 run-steps in 2.0 s, 15/s, best val loss 0.125 (lr=2)\n"
    )


def test_a_stack_that_begins_again_takes_back_its_run_steps(
    plain: tuple[Progress, io.StringIO], clock: Clock
) -> None:
    progress, output = plain
    progress.start(1, updates(2))
    progress.advanced(0)
    progress.advanced(15)
    progress.advanced(-15)
    clock.now = 1.0
    progress.advanced(10)
    progress.close()
    assert "10 run-steps in 1.0 s, 10/s" in output.getvalue()


def test_a_progress_that_never_started_says_nothing(
    plain: tuple[Progress, io.StringIO],
) -> None:
    progress, output = plain
    progress.close()
    assert output.getvalue() == ""


@pytest.mark.parametrize(
    ("rate", "shown"), [(2.5, "2.5/s"), (950, "950/s"), (18_432, "18.4k/s"), (1_250_000, "1.25M/s")]
)
def test_a_rate_is_short(
    plain: tuple[Progress, io.StringIO], clock: Clock, rate: float, shown: str
) -> None:
    progress, output = plain
    progress.start(1, {"a": 10**9})
    progress.advanced(0)
    clock.now = 4.0
    progress.advanced(round(4 * rate))
    progress.close()
    assert output.getvalue().strip().endswith(f", {shown}")


class Kept:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def log(self, *record: object) -> None:
        self.calls.append(record)

    def log_block(self, *block: object) -> None:
        self.calls.append(block)


def test_a_watched_sink_gets_everything_and_its_evaluations_are_shown(
    plain: tuple[Progress, io.StringIO],
) -> None:
    progress, output = plain
    progress.start(1, {"a": 10, "b": 10})
    kept = Kept()
    watched = Watched(kept, progress, ["a", "b"])
    training = ([0, 1], [10], [0.5], ["loss/train", "lr"], np.full((2, 1, 2), 9.0))
    two = np.array([[[2.0, 0.5]], [[1.0, 0.75]]])
    scores = ([0, 1], [10], [0.5], ["loss/val", "accuracy/val"], two)
    single = (1, 10, 0.5, {"weight_norm/w": 3.0})
    watched.log_block(*training)
    watched.log_block(*scores)
    watched.log(*single)
    assert kept.calls == [training, scores, single]
    watched.log(0, 20, 1.0, {"loss/val": 0.5, "accuracy/val": 0.875})
    progress.close()
    assert "best val accuracy 0.875 (a)" in output.getvalue()


def test_a_run_that_leaves_on_the_way_counts_once_and_the_last_word_about_it_counts(
    plain: tuple[Progress, io.StringIO], clock: Clock
) -> None:
    progress, output = plain
    progress.start(1, updates(4))
    progress.ended("lr=0", ended(status="diverged", cause="loss became nan", updates=30))
    progress.ended("lr=0", ended(status="diverged", cause="loss became nan", updates=30))
    progress.ended("lr=1", ended(cause="no better validation loss", updates=50))
    progress.ended("lr=1", ended(status="interrupted", cause="by hand", updates=50))
    clock.now = 1.0
    progress.advanced(140)
    assert ": 50%, " in output.getvalue()  # 140 of 400 - 70 - 50
    progress.close()
    assert "2 of 4 runs (1 diverged, 1 interrupted)" in output.getvalue()


def test_runs_that_are_begun_again_are_neither_alive_nor_ended(
    plain: tuple[Progress, io.StringIO], clock: Clock
) -> None:
    progress, output = plain
    progress.start(1, updates(2))
    progress.evaluated("lr=0", {"loss/val": 1.0})
    progress.ended("lr=1", ended(status="diverged", cause="loss became nan", updates=10))
    for run in ("lr=0", "lr=1"):
        progress.begun_again(run)
    clock.now = 1.0
    progress.advanced(100)
    assert ": 50%, 0/1 programs, 2 runs, " in output.getvalue()  # 100 of 200


def test_a_quiet_progress_tells_of_failures_alone() -> None:
    output = io.StringIO()
    terminal = Terminal(file=output, force_terminal=True, width=160, _environ={})
    progress = Progress(terminal, is_quiet=True)
    progress.start(1, updates(2))
    progress.evaluated("lr=0", {"loss/val": 1.0})
    progress.advanced(200)
    progress.ended("lr=0", ended())
    progress.ended("lr=1", ended(status="failed", cause="out of luck"))
    progress.close()
    assert ESCAPE.sub("", output.getvalue()) == "lr=1: failed: out of luck\n"
