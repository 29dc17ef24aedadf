"""Every code block of README.md runs, in the order in which a reader meets it."""

from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, BlockError, blocks_of, prepare, run_block

README = blocks_of((ROOT / "README.md").read_text())
# Programs stand alone; what runs in a shell may use what came before it.
PROGRAMS = [block for block in README if block.language == "python"]
SESSION = [block for block in README if block.language != "python"]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda block: f"line {block.line}")
def test_python_block_runs_by_itself(program, tmp_path: Path) -> None:
    prepare(tmp_path, README)
    run_block(program, tmp_path)


def test_commands_run_one_after_the_other(tmp_path: Path) -> None:
    prepare(tmp_path, README)
    for block in SESSION:
        try:
            run_block(block, tmp_path)
        except BlockError as error:
            raise BlockError(f"README.md, line {block.line}: {error}") from None


def test_the_page_shows_programs_and_commands() -> None:
    assert PROGRAMS
    assert any(block.language == "bash" for block in SESSION)
