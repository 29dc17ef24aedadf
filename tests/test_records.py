"""Everything below a folder of runs: what ended, what is damaged, and in what runs differ."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from optlab.config import ConfigError
from optlab.records import RunRecord, collect, survey, varying
from optlab.results import RunResult, write_atomic, write_result

CONFIG: dict[str, Any] = {
    "seed": 0,
    "device": "cpu",
    "optimizer": {"name": "adam", "lr": 1e-3, "betas": [0.9, 0.999]},
    "logger": {"tensorboard": True},
}


def a_result(**fields: Any) -> RunResult:
    defaults: dict[str, Any] = {
        **{"name": "adam", "status": "done", "updates": 400, "epochs": 10.0, "seed": 0},
        **{"train": {}, "val": {"loss": 0.2}, "test": {}, "total_s": 2.0, "training_s": 1.5},
        **{"config_hash": "0123456789ab", "device": "a device", "started": "2026-01-01T00:00:00"},
    }
    return RunResult(**{**defaults, **fields})


def write_run(folder: Path, config: Mapping[str, Any], **fields: Any) -> None:
    write_atomic(folder / "config.yaml", yaml.safe_dump(dict(config)).encode())
    write_result(folder, a_result(**fields))


def a_record(**changes: Any) -> RunRecord:
    return RunRecord({**CONFIG, **changes}, a_result(), Path())


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


def test_a_survey_names_damaged_and_unfinished_runs_and_goes_on(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        write_run(tmp_path / name, CONFIG)
    (tmp_path / "b" / "result.json").write_text("{")
    (tmp_path / "c" / "result.json").unlink()
    (tmp_path / "d" / "events.out.tfevents.1").touch()
    found = survey(tmp_path)
    assert [record.folder.name for record in found.records] == ["a", "d"]
    assert [(run.name, "result.json" in str(e)) for run, e in found.damaged.items()] == [
        ("b", True)
    ]
    assert found.unfinished == [tmp_path / "c"]
    assert found.shown == [tmp_path / "d"]


def test_collect_says_when_there_is_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        collect(tmp_path / "nowhere")


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


def test_varying_says_the_same_of_many_runs_as_of_each_kind_once() -> None:
    few = [a_record(), a_record(seed=1), a_record(plugins=["a"]), a_record(norm={})]
    assert varying(few * 50) == varying(few) == ["norm", "plugins", "seed"]


def test_looking_at_runs_needs_no_torch() -> None:
    code = "import sys, optlab.records; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
