import os
import subprocess
import sys

import pytest

from optlab.saying import QUIET, is_quiet, quiet, say, tell, warn


def test_results_go_to_stdout_and_all_else_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    tell("a result")
    say("a note")
    warn("a warning")
    assert capsys.readouterr() == ("a result\n", "a note\na warning\n")


def test_quiet_leaves_results_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet(True):
        tell("a result")
        say("a note")
        warn("a warning")
    assert capsys.readouterr() == ("a result\n", "a warning\n")


@pytest.mark.parametrize("before", [None, "0", "1"])
def test_quiet_ends_where_it_began(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv(QUIET, raising=False)
    if before is not None:
        monkeypatch.setenv(QUIET, before)
    with quiet(True):
        assert is_quiet()
    assert os.environ.get(QUIET) == before


@pytest.mark.parametrize("word", ["tell", "say"])
def test_without_a_reader_the_work_goes_on(word: str) -> None:
    stream = {"tell": "stdout", "say": "stderr"}[word]
    other = {"tell": "stderr", "say": "stdout"}[word]
    script = (
        f"import sys; from optlab.saying import {word}\n"
        f"sys.stdin.readline(); {word}('a'); {word}('b'); print('done', file=sys.{other})"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        getattr(process, stream).close()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert getattr(process, other).read() == "done\n"
        assert process.wait() == 0
