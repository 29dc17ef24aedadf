"""The published rates of verdicts: of every rule, and those that the script measured."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from optlab.diagnostics.verdicts import RULES

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "experiments" / "verdicts"
MEASURED = json.loads((STUDY / "results.json").read_text())


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setitem(sys.modules, "verdict_grid", None)
    monkeypatch.delitem(sys.modules, "verdict_grid")
    path = ROOT / "scripts" / "measure_verdicts.py"
    spec = importlib.util.spec_from_file_location("measure_verdicts", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_rule_has_a_rate():
    assert {*MEASURED["verdicts"]} == {*RULES}


def test_enough_runs_were_measured():
    assert MEASURED["planted runs"] + MEASURED["sound runs"] >= 200
    assert all(own["found"]["of"] >= 10 for own in MEASURED["verdicts"].values())


def test_no_rate_is_of_a_seed_at_which_thresholds_were_set():
    assert not {0, 1} & {*MEASURED["seeds"]}


def test_the_study_shows_what_was_measured(script):
    assert script.tables(MEASURED) in (STUDY / "README.md").read_text()


def test_the_grid_that_was_measured_is_the_grid_of_the_script(script):
    lines = {plot.name: plot.line for plot in (*script.PLANTED, *script.SOUND)}
    assert {name: plot["line"] for name, plot in MEASURED["plots"].items()} == lines


def test_every_fault_is_planted_somewhere(script):
    assert {plot.planted for plot in script.PLANTED} == {*RULES}
