"""Files of run folders: whole or absent, and what an ordinary module can load."""

import contextlib
import resource

import pytest
import torch
import yaml

from optlab.nn import Linear
from optlab.records import collect
from optlab.results import read_result
from optlab.sweep.files import put_configs, put_result, put_weights
from tests.sweep.ledgers import ended, planned


def test_what_is_put_is_read_back(tmp_path):
    runs = planned(tmp_path, [0, 1])
    put_configs(runs)
    for run in runs:
        put_result(run.folder, ended(run))
    records = collect(tmp_path)
    assert [record.result for record in records] == [ended(run) for run in runs]
    for run, record in zip(runs, records, strict=True):
        assert {key: record.config[key] for key in run.config} == run.config


def test_a_configuration_is_written_as_that_of_a_single_run(tmp_path):
    (run,) = planned(tmp_path, [3])
    put_configs([run])
    text = (run.folder / "config.yaml").read_text()
    assert text.startswith("# Resolved configuration of one optlab run.")
    assert yaml.safe_load(text)["hydra"] == {"searchpath": ["pkg://optlab.configs"]}


@contextlib.contextmanager
def full_disk():
    """Let the system refuse whatever makes a file longer, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_that_cannot_be_written_is_named_and_leaves_the_one_before(tmp_path):
    (run,) = planned(tmp_path, [0])
    put_configs([run])
    put_result(run.folder, ended(run))
    with full_disk(), pytest.raises(OSError, match=r"seed=0/result\.json"):
        put_result(run.folder, ended(run, loss=1.0))
    with full_disk(), pytest.raises(OSError, match=r"seed=0/weights\.pt"):
        put_weights(run.folder, Linear(2, 1))
    assert read_result(run.folder) == ended(run)
    assert sorted(path.name for path in run.folder.iterdir()) == ["config.yaml", "result.json"]


def test_weights_are_a_state_dict_of_their_own_size(tmp_path):
    whole = torch.arange(1000.0)
    module = Linear(2, 1)
    module.weight.data = whole[:2].view(1, 2)  # as a run's parameters are parts of one tensor
    put_weights(tmp_path, module)
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert weights["weight"].untyped_storage().nbytes() == 8
    other = Linear(2, 1)
    other.load_state_dict(weights)
    assert torch.equal(other.weight, module.weight)
