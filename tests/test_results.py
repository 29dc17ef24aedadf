import errno
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optlab.config import ConfigError
from optlab.results import (
    OUTCOME_FREE,
    RunRecord,
    RunResult,
    cell_hash,
    collect,
    config_hash,
    flatten,
    read_result,
    varying,
    write_atomic,
    write_json,
    write_result,
)

CONFIG: dict[str, Any] = {
    "seed": 0,
    "device": "cpu",
    "task": {"name": "digits", "val_fraction": 0.2},
    "optimizer": {"name": "adam", "lr": 1e-3, "betas": [0.9, 0.999]},
    "logger": {"tensorboard": True},
}


def a_result(**fields: Any) -> RunResult:
    defaults: dict[str, Any] = {
        "name": "adam",
        "status": "done",
        "updates": 400,
        "epochs": 10.0,
        "train": {"loss": 0.1},
        "val": {"loss": 0.2},
        "test": {"loss": 0.3},
        "total_s": 2.0,
        "training_s": 1.5,
        "config_hash": "0123456789ab",
        "seed": 0,
        "device": "a device",
        "versions": {"torch": "2.15.0"},
        "started": "2026-01-01T00:00:00+00:00",
    }
    return RunResult(**{**defaults, **fields})


def write_run(folder: Path, config: Mapping[str, Any], **fields: Any) -> None:
    write_atomic(folder / "config.yaml", yaml.safe_dump(dict(config)).encode())
    write_result(folder, a_result(**fields))


def a_record(**changes: Any) -> RunRecord:
    return RunRecord({**CONFIG, **changes}, a_result(), Path())


# Files


def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"loss": 1.0})

    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"loss": 2.0})
    assert json.loads(path.read_text()) == {"loss": 1.0}
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_atomic(tmp_path / "deep" / "file", b"content")
    assert calls == ["fsync", "replace"]
    assert (tmp_path / "deep" / "file").read_bytes() == b"content"


def test_result_reads_back_as_written(tmp_path: Path) -> None:
    result = a_result(
        status="diverged", cause="loss became nan at update 37", best_epoch=2.0, dirty=True
    )
    write_result(tmp_path, result)
    assert read_result(tmp_path) == result


def test_nan_and_infinities_survive_in_standard_json(tmp_path: Path) -> None:
    values = {"loss": math.nan, "high": math.inf, "low": -math.inf}
    write_result(tmp_path, a_result(train=values, epochs=math.nan))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    json.loads((tmp_path / "result.json").read_text(), parse_constant=refuse)
    back = read_result(tmp_path)
    assert math.isnan(back.train["loss"])
    assert math.isnan(back.epochs)
    assert (back.train["high"], back.train["low"]) == (math.inf, -math.inf)


# Identity


def test_hash_is_the_sha256_of_the_canonical_json() -> None:
    text = '{"optimizer":{"betas":[0.9,0.999],"lr":0.001,"name":"adam"},"seed":0,'
    text += '"task":{"name":"digits","val_fraction":0.2}}'
    assert config_hash(CONFIG) == hashlib.sha256(text.encode()).hexdigest()[:12]


@given(order=st.permutations(list(CONFIG)), inner=st.permutations(list(CONFIG["optimizer"])))
def test_hash_does_not_depend_on_the_order_of_keys(order: list[str], inner: list[str]) -> None:
    shuffled = {key: CONFIG[key] for key in order}
    shuffled["optimizer"] = {key: CONFIG["optimizer"][key] for key in inner}
    assert config_hash(shuffled) == config_hash(CONFIG)


@pytest.mark.parametrize(
    ("left", "right"), [(1, 1.0), (0.001, 1e-3), (100, 1e2), (0.0, -0.0), ([1, 2], (1.0, 2.0))]
)
def test_hash_does_not_depend_on_how_a_number_is_written(left: object, right: object) -> None:
    assert config_hash({"x": left}) == config_hash({"x": right})


@pytest.mark.parametrize(
    ("left", "right"), [(1, True), (1, "1"), (None, "null"), (0.1, 0.1 + 2**-55), (math.inf, None)]
)
def test_hash_tells_apart_what_differs(left: object, right: object) -> None:
    assert config_hash({"x": left}) != config_hash({"x": right})


def test_hash_changes_with_every_option_but_those_that_cannot_change_the_outcome() -> None:
    for key in flatten(CONFIG):
        section, _, name = key.partition(".")
        changed = {**CONFIG[section], name: "changed"} if name else "changed"
        same = config_hash({**CONFIG, section: changed}) == config_hash(CONFIG)
        assert same == (section in OUTCOME_FREE), key


def test_cell_hash_is_shared_by_seeds_and_only_by_seeds() -> None:
    assert cell_hash({**CONFIG, "seed": 1}) == cell_hash(CONFIG)
    assert cell_hash({**CONFIG, "task": {"name": "moons"}}) != cell_hash(CONFIG)
    assert cell_hash(CONFIG) != config_hash(CONFIG)


# Reading back


def test_flatten_gives_dotted_keys_and_keeps_lists_and_empty_sections() -> None:
    nested = {"a": {"b": {"c": 1}, "d": [1, 2]}, "e": None, "f": {}}
    assert flatten(nested) == {"a.b.c": 1, "a.d": [1, 2], "e": None, "f": {}}


def test_collect_finds_ended_runs_at_any_depth_in_order(tmp_path: Path) -> None:
    write_run(tmp_path / "b" / "seed=1", {**CONFIG, "seed": 1}, seed=1)
    write_run(tmp_path / "a", CONFIG, status="failed", cause="out of memory")
    write_atomic(tmp_path / "still_running" / "config.yaml", b"seed: 3\n")
    records = collect(tmp_path)
    assert [r.folder for r in records] == [tmp_path / "a", tmp_path / "b" / "seed=1"]
    assert records[0].result.cause == "out of memory"
    assert records[1].config == {**CONFIG, "seed": 1}
    assert records[1].options["optimizer.lr"] == 1e-3


def test_collect_of_one_run_folder_gives_that_run(tmp_path: Path) -> None:
    write_run(tmp_path, CONFIG)
    assert [record.folder for record in collect(tmp_path)] == [tmp_path]


@pytest.mark.parametrize(
    "damage",
    [
        {"result.json": b'{"name": "ad'},
        {"result.json": b"[]"},
        {"result.json": b'{"name": "adam"}'},
        {"result.json": b"\xff\xfe"},
        {"config.yaml": b"seed: [0"},
        {"config.yaml": b""},
    ],
    ids=str,
)
def test_a_damaged_record_is_an_error_that_names_the_file(
    tmp_path: Path, damage: dict[str, bytes]
) -> None:
    write_run(tmp_path / "good", CONFIG)
    write_run(tmp_path / "bad", CONFIG)
    for name, content in damage.items():
        (tmp_path / "bad" / name).write_bytes(content)
        with pytest.raises(ConfigError, match=f"bad/{name}"):
            collect(tmp_path)


def test_a_result_without_its_configuration_is_an_error(tmp_path: Path) -> None:
    write_result(tmp_path, a_result())
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        collect(tmp_path)


@pytest.mark.parametrize("change", [{"status": "fine"}, {"extra": 1}, {"val": {"loss": "low"}}])
def test_a_result_of_another_form_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    write_result(tmp_path, a_result())
    path = tmp_path / "result.json"
    write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(ConfigError, match=r"result\.json"):
        read_result(tmp_path)


def test_collect_says_when_there_is_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        collect(tmp_path / "nowhere")


# What differs


def test_varying_lists_the_keys_that_differ() -> None:
    slow = {**CONFIG["optimizer"], "lr": 1e-4}
    assert varying([a_record(), a_record(seed=1), a_record(optimizer=slow)]) == [
        "optimizer.lr",
        "seed",
    ]


def test_varying_is_empty_for_equal_runs_and_ignores_device_and_logger() -> None:
    assert varying([a_record(), a_record(device="cuda", logger={"tensorboard": False})]) == []
    assert varying([a_record()]) == []


def test_varying_leaves_out_what_the_name_beside_it_says() -> None:
    sgd = {"name": "sgd", "lr": 0.01, "momentum": 0.9}
    assert varying([a_record(), a_record(optimizer=sgd)]) == ["optimizer.name"]


def test_varying_keeps_an_option_that_the_name_does_not_fix() -> None:
    slow = {**CONFIG["optimizer"], "lr": 1e-4}
    sgd = {"name": "sgd", "lr": 0.01, "momentum": 0.9}
    records = [a_record(), a_record(optimizer=slow), a_record(optimizer=sgd)]
    assert varying(records) == ["optimizer.lr", "optimizer.name"]


def test_records_need_no_torch() -> None:
    code = "import sys, optlab.results; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
