"""Committed studies: complete, and redrawn from their tables by one command."""

import re
import shutil
from pathlib import Path

import pytest

from optlab.cli import main

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.parent for path in (ROOT / "experiments").glob("*/report.csv"))


def test_there_is_a_study():
    assert STUDIES


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_a_study_states_question_command_and_conclusion(study):
    text = (study / "README.md").read_text()
    for part in ("**Question.**", "**Command**", "**Redraw**", "**Result.**", "**Conclusion.**"):
        assert part in text
    for name in re.findall(r"\]\(([\w.]+)\)", text):
        assert (study / name).is_file()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_a_study_is_redrawn_from_its_committed_tables(study, tmp_path, capsys):
    for name in ("report.csv", "curves.csv"):
        shutil.copy(study / name, tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    assert "ranked by mean validation" in capsys.readouterr().out
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_the_numbers_of_a_studys_text_are_those_of_its_table(study):
    table = (study / "report.csv").read_text()
    quoted = re.findall(
        r"^\| `(\w+)` \| ([\d.]+) \| (\w+), (\w+) \| (0\.\d{4})",
        (study / "README.md").read_text(),
        re.M,
    )
    assert quoted
    for *cell, accuracy in quoted:
        (row,) = re.findall(rf"^\d+,{','.join(cell)},.*$", table, re.M)
        assert any(f"{float(v):.4f}" == accuracy for v in row.split(",") if v.startswith("0."))
