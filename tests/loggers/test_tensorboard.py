import io
import json
import math
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optlab.loggers.tensorboard import TensorBoardLogger
from optlab.results import RunResult, Verdict

WAIT_S = 60.0  # a server on a loaded machine; it answers within a second on an idle one


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def eventually(ask: Callable[[], Any], what: str) -> Any:
    """Return the first true answer, asking until it comes or the time is over."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        threading.Event().wait(0.05)
    raise AssertionError(f"no {what} within {WAIT_S} s")


class Server:
    """The real TensorBoard on a folder, asked over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **query: str) -> Any:
        return self._open(f"{self.url}data/plugin/{path}?{urllib.parse.urlencode(query)}", None)

    def raw(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}data/plugin/{path}", timeout=10) as answer:
            return bytes(answer.read())

    def post(self, path: str, payload: object) -> Any:
        return self._open(f"{self.url}data/plugin/{path}", json.dumps(payload).encode())

    def session_groups(self) -> dict[str, Any]:
        request = {
            "experimentName": "",
            "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
            "colParams": [{"metric": {"group": "", "tag": "accuracy/val"}}],
            "aggregationType": "AGGREGATION_AVG",
            "startIndex": 0,
            "sliceSize": 100,
        }
        groups = self.post("hparams/session_groups", request)["sessionGroups"]
        return {group["name"]: group for group in groups}

    def statuses(self) -> dict[str, str]:
        """Return the status of every session by its run's name."""
        sessions = [s for group in self.session_groups().values() for s in group["sessions"]]
        return {session["name"]: session["status"] for session in sessions}

    def _open(self, url: str, body: bytes | None) -> Any:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def served(logdir: Path, log: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
    command += ["--host", "127.0.0.1", "--port", "0"]  # the system chooses a free port
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stdout=stderr, stderr=stderr)
    try:
        found = eventually(
            lambda: re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()), "running server"
        )
        yield Server(found[0])
    finally:
        process.terminate()
        process.wait(WAIT_S)


def test_the_real_server_shows_curves_and_averages_the_seeds_of_a_cell(
    tmp_path: Path, make_result: Callable[..., RunResult]
) -> None:
    accuracy = {("fast", 0): 0.9, ("fast", 1): 0.8, ("slow", 0): 0.5, ("slow", 1): math.nan}
    for (cell, seed), value in accuracy.items():
        hparams = {"optimizer.lr": 0.1 if cell == "fast" else 0.01, "model.hidden": [64, 32]}
        logger = TensorBoardLogger(tmp_path / "sweep" / f"{cell}_{seed}", hparams, group=cell)
        logger.log(10, 0.5, {"loss/train": 1.5, "accuracy/val": 0.1})
        logger.log(20, 1.0, {"loss/train": 0.5, "accuracy/val": value})
        logger.text("summary", "**seed** " + str(seed))
        logger.finish(make_result(status="diverged" if math.isnan(value) else "done"))
        logger.close()
    with served(tmp_path / "sweep", tmp_path / "server.log") as server:
        eventually(lambda: len(server.get("scalars/tags")) == len(accuracy), "scalars")
        # The end of a session is the last record of its file.
        eventually(lambda: "STATUS_RUNNING" not in server.statuses().values(), "ended sessions")
        assert set(server.get("scalars/tags")["fast_0"]) == {"loss/train", "accuracy/val"}
        points = server.get("scalars/scalars", run="fast_0", tag="loss/train")
        assert [(step, value) for _, step, value in points] == [(10, 1.5), (20, 0.5)]

        groups = server.session_groups()
        fast = groups["fast"]
        assert set(groups) == {"fast", "slow"}
        assert {session["name"] for session in fast["sessions"]} == {"fast_0", "fast_1"}
        assert fast["hparams"] == {"optimizer.lr": 0.1, "model.hidden": "[64, 32]"}
        means = {metric["name"]["tag"]: metric["value"] for metric in fast["metricValues"]}
        assert means["accuracy/val"] == pytest.approx(0.85, rel=1e-6)  # float32 on file
        assert server.statuses() == {
            "fast_0": "STATUS_SUCCESS",
            "fast_1": "STATUS_SUCCESS",
            "slow_0": "STATUS_SUCCESS",
            "slow_1": "STATUS_FAILURE",
        }
        assert "seed" in server.get("text/text", run="slow_1", tag="summary")[0]["text"]


def test_events_carry_step_wall_time_and_every_value(tmp_path: Path) -> None:
    before = time.time()
    logger = TensorBoardLogger(tmp_path, {}, "cell")
    logger.log(7, 0.5, {"lr": 0.25, "gradient_norm/layers.0.weight": 2.0})
    logger.log(8, 0.6, {"lr": 0.125})
    logger.close()
    found = read(tmp_path)
    assert set(found.Tags()["scalars"]) == {"lr", "gradient_norm/layers.0.weight"}
    assert [(e.step, e.value) for e in found.Scalars("lr")] == [(7, 0.25), (8, 0.125)]
    assert before <= found.Scalars("lr")[0].wall_time <= time.time()


def test_a_record_is_readable_before_the_logger_is_closed(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, {}, "cell")
    logger.log(1, 0.1, {"lr": 0.5})
    assert [e.value for e in read(tmp_path).Scalars("lr")] == [0.5]
    logger.close()


def test_nan_and_infinite_values_are_kept(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, {"optimizer.clip": math.inf}, "cell")
    for update, value in enumerate([math.nan, math.inf, 1e300]):  # the last overflows float32
        logger.log(update, 0.0, {"loss/train": value})
    logger.close()
    values = [e.value for e in read(tmp_path).Scalars("loss/train")]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, math.inf]


def test_a_run_writes_one_file_into_its_own_folder_and_no_child_run(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path / "run", {"optimizer.lr": 0.1}, "cell")
    logger.log(1, 0.1, {"lr": 0.1})
    logger.close()
    assert [p.parent for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / "run"]


def test_a_run_that_is_started_over_shows_only_its_new_curve(tmp_path: Path) -> None:
    for values in ([5.0, 4.0, 3.0], [2.0, 1.0]):
        logger = TensorBoardLogger(tmp_path, {}, "cell")
        for update, value in enumerate(values):
            logger.log(update, 0.0, {"loss/train": value})
        logger.close()
    assert [e.value for e in read(tmp_path).Scalars("loss/train")] == [2.0, 1.0]


def test_a_full_disk_raises_at_the_first_record_that_is_lost(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    logger = TensorBoardLogger(tmp_path, {}, "cell")
    (file,) = tmp_path.iterdir()
    room = file.stat().st_size
    logger.log(1, 0.0, {"loss/train": 1.0})
    record = file.stat().st_size - room  # as long as any other of a step below 128
    with full_disk(room + 10 * record):
        for update in range(2, 11):
            logger.log(update, 0.0, {"loss/train": 1.0})
        with pytest.raises(OSError, match="too large"):
            logger.log(11, 0.0, {"loss/train": 1.0})
    logger.close()


def test_closing_twice_is_harmless_and_closing_without_a_result_marks_a_failure(
    tmp_path: Path,
) -> None:
    logger = TensorBoardLogger(tmp_path, {}, "cell")
    logger.close()
    logger.close()
    (file,) = tmp_path.iterdir()
    size = file.stat().st_size
    assert "_hparams_/session_end_info" in file.read_bytes().decode(errors="ignore")
    logger.close()
    assert file.stat().st_size == size


def test_importing_the_logger_does_not_import_torch() -> None:
    code = "import sys, optlab.loggers.tensorboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_verdicts_are_a_text_at_the_end(
    tmp_path: Path, make_result: Callable[..., RunResult]
) -> None:
    found = [Verdict("dead_units", "hidden.0", "40% of the units are dead", 2.0, 50)]
    logger = TensorBoardLogger(tmp_path, {}, "group")
    logger.finish(make_result(verdicts=found))
    logger.close()
    (event,) = read(tmp_path).Tensors("verdicts")
    assert event.tensor_proto.string_val == [b"- **dead_units**: 40% of the units are dead"]


def test_a_run_without_verdicts_has_no_text(
    tmp_path: Path, make_result: Callable[..., RunResult]
) -> None:
    logger = TensorBoardLogger(tmp_path, {}, "group")
    logger.finish(make_result())
    logger.close()
    assert "verdicts" not in read(tmp_path).Tags()["tensors"]


def test_the_real_server_shows_histograms_pictures_and_the_model(
    tmp_path: Path, make_result: Callable[..., RunResult]
) -> None:
    content = io.BytesIO()
    Figure(figsize=(3, 2), dpi=50).savefig(content, format="png")
    logger = TensorBoardLogger(tmp_path / "run", {}, "cell")
    logger.text("model", "| layer | parameters |\n|---|--:|\n| output | 330 |")
    for update in (0, 100):
        numbers = np.linspace(-1, 1 + update, 61)
        logger.histograms(update, {"weights/output.weight": numbers, "gradients/none": numbers[:0]})
    logger.image("confusion", 200, content.getvalue())
    logger.finish(make_result())
    logger.close()
    with served(tmp_path, tmp_path / "server.log") as server:
        eventually(lambda: server.get("images/tags").get("run"), "pictures")
        tags = server.get("histograms/tags")["run"]
        assert set(tags) == {"weights/output.weight", "gradients/none"}
        looks = server.get("histograms/histograms", run="run", tag="weights/output.weight")
        assert [step for _, step, _ in looks] == [0, 100]
        counts = [[count for *_, count in buckets] for *_, buckets in looks]
        assert [len(own) for own in counts] == [30, 30]
        assert [sum(own) for own in counts] == [61, 61]
        (picture,) = server.get("images/images", run="run", tag="confusion", sample="0")
        assert picture["step"] == 200
        assert server.raw(f"images/individualImage?{picture['query']}") == content.getvalue()
        (text,) = server.get("text/text", run="run", tag="model")
        assert "<th>layer</th>" in text["text"]


def test_what_came_after_a_position_is_dropped_and_comes_again(tmp_path: Path) -> None:
    first = TensorBoardLogger(tmp_path, {}, "cell")
    first.histograms(0, {"weights/w": np.zeros(3)})
    position = first.position()
    first.histograms(10, {"weights/w": np.ones(3)})
    first.close()
    second = TensorBoardLogger(tmp_path, {}, "cell", position)
    for update in (10, 20):
        second.histograms(update, {"weights/w": np.ones(3)})
    second.close()
    assert [event.step for event in read(tmp_path).Tensors("weights/w")] == [0, 10, 20]
