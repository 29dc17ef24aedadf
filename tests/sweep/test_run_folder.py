"""Whose a sweep's folder is, where it has no ledger, and a run's configuration file."""

import pytest
import yaml

from optlab.sweep.ledger import Ledger
from optlab.sweep.refusal import FolderTakenError
from optlab.sweep.run_folder import (
    HEADER,
    PRIMARY,
    Grid,
    claim_for_grid,
    noted_grid,
    write_config,
)

GRID = Grid(varied=("optimizer", "seed"), held=("task=xor",))


def test_a_folder_remembers_its_grid(tmp_path):
    assert noted_grid(tmp_path) is None
    claim_for_grid(tmp_path, GRID)
    claim_for_grid(tmp_path, GRID)
    assert noted_grid(tmp_path) == GRID


@pytest.mark.parametrize(
    "other", [GRID._replace(varied=("seed", "optimizer")), GRID._replace(held=())]
)
def test_another_grid_is_refused_and_the_first_stays(tmp_path, other):
    claim_for_grid(tmp_path, GRID)
    with pytest.raises(FolderTakenError, match=r"this one varies .*; choose another sweep\.dir$"):
        claim_for_grid(tmp_path, other)
    assert noted_grid(tmp_path) == GRID


def test_a_folder_with_a_ledger_takes_no_runs_that_it_would_not_learn_of(tmp_path):
    with Ledger(tmp_path):
        pass
    with pytest.raises(FolderTakenError, match="continue it with `optlab sweep`, or choose"):
        claim_for_grid(tmp_path, GRID)
    assert noted_grid(tmp_path) is None


def test_a_configuration_is_written_as_the_slow_dumper_would(tmp_path):
    config = {"seed": 0, "model": {"hidden": [4, 8], "note": "é: 'x'"}, "lr": 1e-05, "none": None}
    write_config(tmp_path, config)
    wanted = HEADER + yaml.safe_dump({**PRIMARY, **config}, sort_keys=False)
    assert (tmp_path / "config.yaml").read_text() == wanted
