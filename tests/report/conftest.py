"""Run folders made by hand: what a trainer would have written, without training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from optlab.identity import config_hash
from optlab.loggers.table import MetricsTable
from optlab.records import RunRecord
from optlab.results import RunResult, write_atomic, write_result

MakeRun = Callable[..., RunRecord]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes one run folder and returns its record."""

    def make(
        config: Mapping[str, Any],
        *,
        val: Mapping[str, float] | None = None,
        test: Mapping[str, float] | None = None,
        status: str = "done",
        started: str = "2026-01-01T00:00:00+00:00",
        curves: Mapping[str, Sequence[float]] | None = None,
        folder: str = "",
    ) -> RunRecord:
        taken = sum(1 for _ in tmp_path.glob("run_*"))
        run_folder = tmp_path / (folder or f"run_{taken:03d}")
        result = RunResult(
            name=run_folder.name,
            status=status,
            updates=10,
            epochs=2.0,
            train={},
            val=dict(val or {}),
            test=dict(test or {}),
            total_s=1.0,
            training_s=0.5,
            config_hash=config_hash(config),
            seed=int(config.get("seed", 0)),
            device="a device",
            started=started,
        )
        write_atomic(run_folder / "config.yaml", yaml.safe_dump(dict(config)).encode())
        write_result(run_folder, result)
        if curves:
            table = MetricsTable(run_folder)
            for tag, values in curves.items():
                for epoch, value in enumerate(values):
                    table.log(epoch * 5, float(epoch), {tag: value})
            table.close()
        return RunRecord(dict(config), result, run_folder)

    return make
