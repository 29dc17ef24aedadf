"""Files of protocols: found, read, told apart, and refused where they contradict themselves."""

from pathlib import Path

import pytest

from optlab.config import ConfigError
from optlab.protocol.protocol import load, read
from tests.protocol.following import CONTENT, own_protocol, protocol

PACKAGED = ["quick", "standard", "crowded_valley", "algoperf_style"]


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_protocol_tunes_and_judges_on_different_seeds(name):
    found = load(name)
    assert found.budgets[0] == 1  # the defaults
    judged = {*found.rerun_seeds, *found.targets.seeds}
    assert judged.isdisjoint(found.tuning_seeds)
    assert found.targets.baselines
    assert set(found.targets.baselines) <= set(found.spaces.known)


def test_what_is_judged_by_a_paper_has_ten_seeds_and_nested_budgets():
    assert all(len(load(name).rerun_seeds) >= 10 for name in PACKAGED[1:])
    assert load("standard").budgets == (1, 5, 25, 75)
    assert {words[0] for words in load("crowded_valley").schedules} >= {
        "schedule=constant",
        "schedule=cosine",
        "schedule=wsd",
    }


def test_baselines_may_be_tuned_for_the_target_alone():
    own = load("algoperf_style").for_targets
    assert own is not None
    assert (own.budgets, len(own.rerun_seeds)) == ((200,), 20)
    assert load("standard").for_targets is None


def test_a_file_of_ones_own_is_found_by_path_and_by_name_in_a_folder(tmp_path, monkeypatch):
    (tmp_path / "mine" / "protocol").mkdir(parents=True)
    own_protocol(tmp_path / "mine" / "protocol")
    monkeypatch.chdir(tmp_path)
    by_path = load("mine/protocol/own.yaml")
    by_name = load("own", [Path("mine")])
    assert by_path.digest == by_name.digest
    assert load("standard", [Path("mine")]).digest == load("standard").digest


def test_spaces_may_be_a_file_beside_the_protocol(tmp_path):
    own_protocol(
        tmp_path, "version: 1\nspaces: mine\nbudgets: [1]\ntuning_seeds: [0]\nrerun_seeds: [1]\n"
    )
    (tmp_path / "spaces").mkdir()
    text = "optimizers: {adam: {lr: {log: [0.1, 1.0]}}}"
    (tmp_path / "spaces" / "mine.yaml").write_text(text)
    assert load(str(tmp_path / "own.yaml")).spaces.known["adam"]["lr"].low == 0.1


def test_the_hash_is_of_what_is_said_and_not_of_how():
    assert protocol().digest == protocol(budgets=[1.0, 2, 4]).digest
    assert protocol().digest != protocol(budgets=[1, 2, 5]).digest
    spaces = {"optimizers": {"adam": {"lr": {"log": [1e-4, 2.0]}}}}
    assert protocol().digest != protocol(spaces=spaces).digest


def test_one_schedule_is_held_and_several_are_compared():
    assert protocol().held == ("schedule=constant",)
    both = protocol(schedules=["constant", {"name": "cosine", "warmup": 0.1}])
    assert both.held == ()
    assert both.schedules[1] == ("schedule=cosine", "schedule.warmup=0.1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": [5, 1]}, "budgets must be ascending"),
        ({"budgets": []}, "budgets must be ascending"),
        ({"budgets": [0]}, r"must be in \[1, inf\)"),
        ({"rerun_seeds": [0, 1]}, "got 0 for both"),
        ({"tuning_seeds": []}, "tuning_seeds must be a list of different values"),
        ({"rerun_seeds": [1, 1]}, "rerun_seeds must be a list of different values"),
        ({"targets": {"trials": 5}}, "targets.trials and targets.seeds go together"),
        ({"targets": {"baseline": ["adam"]}}, "unknown option of protocol own.yaml.targets"),
        ({"budget": [1]}, "unknown option of protocol own.yaml 'budget'; known, .*: budgets"),
        ({"schedules": [{"warmup": 0.1}]}, "a schedule has a name"),
        ({"spaces": [1]}, "a mapping is wanted"),
    ],
)
def test_a_protocol_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        protocol(**changes)


def test_a_key_that_is_missing_is_asked_for():
    without = {key: value for key, value in CONTENT.items() if key != "budgets"}
    with pytest.raises(ConfigError, match=r"protocol own\.yaml\.budgets is required"):
        read("own.yaml", without)


def test_unknown_names_are_answered_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown protocol 'standart'; .*: standard,"):
        load("standart")
    with pytest.raises(ConfigError, match=r"no protocol file 'none\.yaml'"):
        load("none.yaml")
    own_protocol(tmp_path, "spaces: fall\n")
    with pytest.raises(ConfigError, match=r"unknown search space of a protocol 'fall'; .*: full"):
        load(str(tmp_path / "own.yaml"))


@pytest.mark.parametrize("text", ["[1", "- 1\n", "a: &x [1]\nb: *x\n"])
def test_a_file_that_is_no_protocol_is_refused(tmp_path, text):
    own_protocol(tmp_path, text)
    with pytest.raises(ConfigError, match=r"own\.yaml"):
        load(str(tmp_path / "own.yaml"))
