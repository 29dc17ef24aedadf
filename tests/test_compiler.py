"""Machines without a compiler, without a home, with a damaged cache."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from optlab import compiler
from optlab.compiler import NoCompiler, c_library

ANSWER = "int answer(void) { return 42; }\n"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    c_library.cache_clear()
    monkeypatch.setattr(compiler, "_own_folder", lambda: tmp_path / "own")
    yield
    c_library.cache_clear()


def libraries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.so"))


def test_a_library_is_kept_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert c_library(ANSWER).answer() == 42
    (kept,) = libraries(tmp_path)
    assert kept.parent == tmp_path / "optlab" / "kernels"
    c_library.cache_clear()
    monkeypatch.setattr(subprocess, "run", None)  # the compiler is not called again
    assert c_library(ANSWER).answer() == 42
    assert os.listdir(kept.parent) == [kept.name]


def test_other_sources_flags_and_processors_have_other_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c_library(ANSWER)
    c_library(ANSWER.replace("42", "43"))
    for name, value in (
        ("_processor", lambda: "another"),
        ("_c_flags", lambda reorder: [("-O0",)]),
    ):
        c_library.cache_clear()
        monkeypatch.setattr(compiler, name, value)
        c_library(ANSWER)
    assert len(libraries(tmp_path)) == 4


def test_a_damaged_library_is_built_again(tmp_path: Path) -> None:
    process = "from optlab.compiler import c_library; print(c_library({!r}).answer())"
    command = [sys.executable, "-W", "ignore", "-c", process.format(ANSWER)]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "42\n"
        (kept,) = libraries(tmp_path)
        kept.write_bytes(kept.read_bytes()[:100])


def test_without_a_compiler_the_reason_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(NoCompiler, match=r"no compiler on PATH \(cc, gcc, clang\); install one"):
        c_library(ANSWER)


def test_the_compiler_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "log"
    named = tmp_path / "mycc"
    named.write_text(f'#!/bin/sh\necho called >> {log}\nexec cc "$@"\n')
    named.chmod(0o755)
    monkeypatch.setenv("CC", str(named))
    assert c_library(ANSWER).answer() == 42
    assert log.read_text() == "called\n"


def test_the_compiler_may_have_options_and_a_program_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    before.write_text('#!/bin/sh\nexec "$@"\n')
    before.chmod(0o755)
    source = "int answer(void) { return ANSWER; }\n"
    for number in (42, 43):
        c_library.cache_clear()
        monkeypatch.setenv("CC", f"'{before}' cc -DANSWER={number}")
        assert c_library(source).answer() == number
    assert len(libraries(tmp_path)) == 2


def test_a_command_that_cannot_be_read_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", 'cc "')
    with pytest.raises(NoCompiler, match="CC='cc \"' is no command"):
        c_library(ANSWER)


def test_a_source_may_include_itself_from_a_relative_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    twice = f"#ifndef ONCE\n#define ONCE\n#include __FILE__\n#else\n{ANSWER}#endif\n"
    assert c_library(twice).answer() == 42
    assert libraries(tmp_path / "cache")


def test_a_refused_source_is_reported_with_the_first_complaint() -> None:
    with pytest.raises(NoCompiler, match=r"refused a kernel: .*kernel\.c.*error"):
        c_library("int answer(void) { return nothing; }\n")


def test_a_folder_that_cannot_be_written_is_replaced_by_one_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert c_library(ANSWER).answer() == 42
    assert libraries(tmp_path / "own")


def test_without_any_folder_the_reasons_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(compiler, "_own_folder", lambda: blocked)
    with pytest.raises(NoCompiler, match=r"cannot write or load a compiled kernel: .*; "):
        c_library(ANSWER)


def test_two_processes_may_compile_the_same(tmp_path: Path) -> None:
    process = "from optlab.compiler import c_library; print(c_library({!r}).answer())"
    command = [sys.executable, "-W", "ignore", "-c", process.format(ANSWER)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [p.communicate()[0] for p in running] == ["42\n"] * 2
    (kept,) = libraries(tmp_path)
    assert ctypes.CDLL(str(kept)).answer() == 42
    assert os.listdir(kept.parent) == [kept.name]
