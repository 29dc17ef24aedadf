"""What runs left, damaged or made up: read back, or one error; nothing is run."""

import json

import pytest
import yaml
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from optlab.config import ConfigError
from optlab.records import collect
from optlab.results import read_result, result_text, write_result
from optlab.sweep.command import multiruns
from optlab.sweep.ledger import Ledger
from optlab.sweep.ledger_file import LedgerError
from optlab.sweep.refusal import SweepRefused
from optlab.sweep.restore import restore_folders
from optlab.sweep.run_file import stored
from optlab.sweep.run_folder import config_text
from tests.fuzz.mutations import CHANGES, mutated
from tests.sweep.composing import configuration
from tests.sweep.ledgers import GRID, LINE, ended, planned

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@pytest.fixture
def run(tmp_path):
    (planned_run,) = planned(tmp_path, [0])
    planned_run.folder.mkdir()
    return planned_run


def test_any_result_is_read_or_refused(every, run):
    write_result(run.folder, ended(run))
    path = run.folder / "result.json"
    whole = path.read_bytes()
    fields = st.dictionaries(st.sampled_from([*json.loads(whole), "more"]), VALUES, max_size=3)

    @every(quick=300, long=10_000, changes=CHANGES, other=fields)
    def check(changes, other):
        changed = json.dumps({**json.loads(whole), **other}, allow_nan=True).encode()
        path.write_bytes(mutated(changed, changes))
        try:
            result = read_result(run.folder)
        except ConfigError:
            return
        assert result_text(result)


def test_any_configuration_beside_a_result_is_read_or_refused(every, run):
    write_result(run.folder, ended(run))
    whole = config_text(configuration()).encode()
    path = run.folder / "config.yaml"

    @every(quick=100, long=2_000, changes=CHANGES)
    def check(changes):
        path.write_bytes(mutated(whole, changes))
        try:
            (record,) = collect(run.folder)
        except ConfigError:
            return
        assert record.options is not None


def test_any_configuration_to_start_from_is_values_or_refused(every, tmp_path):
    path = tmp_path / "config.yaml"
    whole = config_text(configuration()).encode()

    @every(quick=50, long=500, changes=CHANGES, other=VALUES)
    def check(changes, other):
        for content in (mutated(whole, changes), yaml.safe_dump(other).encode()):
            path.write_bytes(content)
            try:
                name = stored(path)
            except (ConfigError, OmegaConfBaseException, yaml.YAMLError):
                continue
            assert name.startswith("run_")


def test_any_ledger_is_read_or_refused(every, tmp_path):
    folder = tmp_path / "sweep"
    runs = planned(folder, range(6))
    with Ledger(folder) as ledger:
        ledger.enter(runs, GRID, LINE)
        ledger.claim([0, 1, 2])
        ledger.end({0: ended(runs[0]), 1: ended(runs[1], "diverged")})
    path = folder / "ledger.sqlite"
    whole = path.read_bytes()

    @every(quick=150, long=8_000, changes=CHANGES)
    def check(changes):
        for leftover in folder.glob("ledger.sqlite*"):
            leftover.unlink()
        path.write_bytes(mutated(whole, changes))
        try:
            multiruns(["--resume", str(folder)])
            with Ledger(folder) as ledger:
                ledger.entries()
                ledger.results()
                ledger.planned(ledger.missing())
                ledger.enter(runs, GRID, LINE)
                restore_folders(ledger)
        except (LedgerError, ConfigError, SweepRefused):
            return
