import errno
import json
import math
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from optlab.config import ConfigError
from optlab.results import (
    RunResult,
    Verdict,
    last_values,
    read_result,
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


def test_a_write_is_on_the_disk_before_it_takes_the_name_and_then_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("fsync of the folder" if is_folder else "fsync")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_atomic(tmp_path / "deep" / "file", b"content")
    assert calls == ["fsync", "replace", "fsync of the folder"]
    assert (tmp_path / "deep" / "file").read_bytes() == b"content"


def test_a_file_that_cannot_be_written_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # a full disk, to the system
    try:
        with pytest.raises(OSError, match=f"{tmp_path}/file'$"):
            write_atomic(tmp_path / "file", bytes(1_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"
    with pytest.raises(FileExistsError, match=f"{tmp_path}/file/deep'$"):
        write_atomic(tmp_path / "file" / "deep", b"content")


def test_a_file_system_that_cannot_sync_folders_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    write_atomic(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


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


# Reading back


@pytest.mark.parametrize("change", [{"status": "fine"}, {"extra": 1}, {"val": {"loss": "low"}}])
def test_a_result_of_another_form_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    write_result(tmp_path, a_result())
    path = tmp_path / "result.json"
    write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(ConfigError, match=r"result\.json"):
        read_result(tmp_path)


def test_records_need_no_torch() -> None:
    code = "import sys, optlab.results; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_verdicts_come_back_as_they_were_written(tmp_path: Path) -> None:
    found = [
        Verdict("vanishing_gradient", "hidden.0", "gradients vanish", math.inf, 0),
        Verdict("overfitting", "", "overfitting", 1.5, 300),
    ]
    write_result(tmp_path, a_result(verdicts=found))
    assert read_result(tmp_path).verdicts == found


def test_a_record_of_before_there_were_verdicts_can_be_read(tmp_path: Path) -> None:
    write_result(tmp_path, a_result())
    payload = json.loads((tmp_path / "result.json").read_text())
    del payload["verdicts"]
    (tmp_path / "result.json").write_text(json.dumps(payload))
    assert read_result(tmp_path).verdicts == []


def test_last_values_are_test_scores_and_severities() -> None:
    found = [Verdict("overfitting", "", "overfitting", 1.5, 300)]
    values = last_values(a_result(verdicts=found))
    assert values == {"loss/test": 0.3, "verdict/overfitting": 1.5}
