import csv
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.config import ConfigError
from optlab.records import RunRecord
from optlab.report.cells import ENDS, Cell, Estimate, Ranking, arranged, labels
from optlab.report.evidence import Evidence
from optlab.report.measures.curves import Band, best_curves
from optlab.report.ranking import rank
from optlab.report.tables import read_curves, read_ranking, write_curves, write_ranking
from optlab.results import Verdict

MakeRun = Callable[..., RunRecord]

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
ESTIMATES = st.builds(Estimate, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
LOOK_LIKE_NUMBERS = ("1", "1e-3", "null", "NaN", "true", '"a"', "[1, 2]", " 1", "", "a,b\r\nc")


def ranking_of(values: list[Any], val: Estimate, test: Estimate, metrics: list[str]) -> Ranking:
    """Make a cell for each value; each metric has a task of its own."""
    own = [metrics[i % len(metrics)] for i in range(len(values))]
    keys = [
        {"optimizer.name": "adam", "optimizer.lr": value, "task.name": metric}
        for value, metric in zip(values, own, strict=True)
    ]
    cells = [
        Cell(i, key, metric, label, 3, dict.fromkeys(ENDS, 1), val, test, val.mean, test.std)
        for i, (key, metric, label) in enumerate(zip(keys, own, labels(keys, own), strict=True))
    ]
    return arranged(keys[0], cells)


@pytest.fixture
def runs(make_run: MakeRun) -> list[RunRecord]:
    values = {("adam", 0): 0.9, ("adam", 1): 0.8, ("sgd", 0): 0.4}
    made = [
        make_run(
            {"seed": seed, "optimizer": {"name": name}},
            val={"loss": 0.5, "accuracy": value},
            test={"accuracy": value / 2},
            curves={"accuracy/val": [0.1, value]},
        )
        for (name, seed), value in values.items()
    ]
    made.append(make_run({"seed": 1, "optimizer": {"name": "sgd"}}, status="diverged"))
    return made


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_ranking_has_a_row_per_cell_with_all_digits(
    runs: list[RunRecord], tmp_path: Path
) -> None:
    ranking = rank(runs)
    write_ranking(tmp_path / "report.csv", ranking)
    adam, sgd = rows_of(tmp_path / "report.csv")
    assert (adam["rank"], adam["optimizer.name"], adam["runs"]) == ("1", "adam", "2")
    assert float(adam["val_accuracy_mean"]) == ranking.cells[0].val.mean
    assert float(adam["val_accuracy_high"]) == ranking.cells[0].val.high
    assert float(adam["test_accuracy_mean"]) == pytest.approx(0.425)
    assert (sgd["diverged"], sgd["failed"], sgd["final_val_loss"]) == ("1", "0", "inf")


def test_where_tasks_are_ranked_differently_a_column_says_by_what(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [
        make_run({"seed": 0, "task": {"name": "digits"}}, val={"loss": 0.5, "accuracy": 0.9}),
        make_run({"seed": 0, "task": {"name": "saddle"}}, val={"loss": 2.0}),
    ]
    write_ranking(tmp_path / "report.csv", rank(runs))
    rows = rows_of(tmp_path / "report.csv")
    found = [(row["task.name"], row["metric"], row["val_metric_mean"]) for row in rows]
    assert found == [("digits", "accuracy", "0.9"), ("saddle", "loss", "2.0")]


def test_undefined_values_are_empty(make_run: MakeRun, tmp_path: Path) -> None:
    write_ranking(tmp_path / "report.csv", rank([make_run({"seed": 0}, val={"loss": 0.5})]))
    (row,) = rows_of(tmp_path / "report.csv")
    assert (row["val_loss_mean"], row["val_loss_std"], row["test_loss_mean"]) == ("0.5", "", "")


def test_the_curves_have_a_row_per_epoch(runs: list[RunRecord], tmp_path: Path) -> None:
    ranking = rank(runs)
    write_curves(tmp_path / "curves.csv", ranking, best_curves(Evidence(runs, ranking)))
    rows = rows_of(tmp_path / "curves.csv")
    assert [(r["group"], r["optimizer"], r["cell"], r["epoch"]) for r in rows] == [
        ("", "adam", "adam", "0.0"),
        ("", "adam", "adam", "1.0"),
        ("", "sgd", "sgd", "0.0"),
        ("", "sgd", "sgd", "1.0"),
    ]
    assert float(rows[1]["mean"]) == (0.9 + 0.8) / 2
    assert (rows[1]["low"], rows[1]["high"]) == ("0.8", "0.9")


@given(
    values=st.lists(VALUES, min_size=1, max_size=4),
    val=ESTIMATES,
    test=ESTIMATES,
    metrics=st.lists(st.sampled_from(["accuracy", "loss"]), min_size=1, max_size=4),
)
def test_a_ranking_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[Any],
    val: Estimate,
    test: Estimate,
    metrics: list[str],
) -> None:
    ranking = ranking_of(values, val, test, metrics)
    path = tmp_path_factory.mktemp("table") / "report.csv"
    write_ranking(path, ranking)
    # As texts: nan is not equal to itself, and 1 is equal to 1.0 and True.
    assert repr(read_ranking(path)) == repr(ranking)


def test_a_table_from_before_interquartile_means_is_still_read(
    runs: list[RunRecord], tmp_path: Path
) -> None:
    ranking, path = rank(runs), tmp_path / "report.csv"
    write_ranking(path, ranking)
    rows = [{k: v for k, v in row.items() if not k.endswith("_iqm")} for row in rows_of(path)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    before, after = ranking.cells[0], read_ranking(path).cells[0]
    assert repr(after.test) == repr(replace(before.test, iqm=math.nan))
    assert (after.val.mean, after.final_loss) == (before.val.mean, before.final_loss)


@pytest.mark.parametrize("text", LOOK_LIKE_NUMBERS)
def test_a_text_that_looks_like_another_value_stays_a_text(tmp_path: Path, text: str) -> None:
    nothing = Estimate(1.0, 1.0, 1.0, 1.0)
    write_ranking(tmp_path / "report.csv", ranking_of([text], nothing, nothing, ["loss"]))
    (cell,) = read_ranking(tmp_path / "report.csv").cells
    assert cell.key["optimizer.lr"] == text


def test_curves_come_back_as_they_were_written(runs: list[RunRecord], tmp_path: Path) -> None:
    ranking = rank(runs)
    points = [[0.1 + 0.2, 1 / 3, -math.inf, math.inf], [1e300, 5e-324, 0.0, -0.0]]
    curves = {("", "sgd"): Band(*np.array(points).T), ("", "adam"): Band(*np.array(points[:1]).T)}
    write_curves(tmp_path / "curves.csv", ranking, curves)
    found = read_curves(tmp_path / "curves.csv", ranking)
    assert list(found) == list(curves)
    for place, curve in curves.items():
        for part in ("x", "mean", "low", "high"):
            np.testing.assert_array_equal(getattr(found[place], part), getattr(curve, part))


def test_no_curves_are_a_table_without_rows(runs: list[RunRecord], tmp_path: Path) -> None:
    ranking = rank(runs)
    write_curves(tmp_path / "curves.csv", ranking, {})
    assert read_curves(tmp_path / "curves.csv", ranking) == {}


def without_last_column(text: str) -> str:
    return "\n".join(line.rpartition(",")[0] for line in text.splitlines())


DAMAGES: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "cut off": lambda text: text[:-10],  # inside its last row
    "without a column": without_last_column,
    "another header": lambda text: "a,b,c\n1,2,3\n",
    "a word for a number": lambda text: re.sub(r"0\.\d+(?=,)", "many", text, count=1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", ["report.csv", "curves.csv"])
def test_a_damaged_table_is_one_error_that_names_it(
    runs: list[RunRecord], tmp_path: Path, name: str, damage: Callable[[str], str]
) -> None:
    ranking = rank(runs)
    write_ranking(tmp_path / "report.csv", ranking)
    write_curves(tmp_path / "curves.csv", ranking, best_curves(Evidence(runs, ranking)))
    path = tmp_path / name
    path.write_text(damage(path.read_text()))
    with pytest.raises(ConfigError, match=rf"cannot read '.*{name}' .*restore both"):
        read_curves(tmp_path / "curves.csv", read_ranking(tmp_path / "report.csv"))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"rank\x00,runs\n1\n", b"rank\n", b'"'])
def test_bytes_that_are_no_table_are_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=r"report\.csv"):
        read_ranking(tmp_path / "report.csv")


def test_a_ranking_without_cells_is_an_error(runs: list[RunRecord], tmp_path: Path) -> None:
    write_ranking(tmp_path / "report.csv", rank(runs))
    header = (tmp_path / "report.csv").read_text().splitlines()[0]
    (tmp_path / "report.csv").write_text(header + "\n")
    with pytest.raises(ConfigError, match="no row"):
        read_ranking(tmp_path / "report.csv")


def test_a_missing_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"report\.csv.*No such file"):
        read_ranking(tmp_path / "report.csv")


def test_curves_of_another_ranking_are_an_error(
    runs: list[RunRecord], make_run: MakeRun, tmp_path: Path
) -> None:
    ranking = rank(runs)
    write_curves(tmp_path / "curves.csv", ranking, best_curves(Evidence(runs, ranking)))
    other = rank([make_run({"seed": 0, "optimizer": {"name": "nag"}}, val={"accuracy": 0.5})])
    with pytest.raises(ConfigError, match="'adam' is no best cell of the ranking beside it"):
        read_curves(tmp_path / "curves.csv", other)


def test_shares_of_verdicts_come_back_and_only_those_that_occur_have_a_column(
    runs: list[RunRecord], tmp_path: Path
) -> None:
    found = [Verdict("lr_too_high", "", "", 2.0, 0), Verdict("dead_units", "", "", 2.0, 0)]
    judged = [replace(r, result=replace(r.result, verdicts=found)) for r in runs[:1]]
    ranking = rank([*judged, *runs[1:]])
    write_ranking(tmp_path / "report.csv", ranking)
    assert read_ranking(tmp_path / "report.csv") == ranking
    first = rows_of(tmp_path / "report.csv")[0]
    assert (first["verdict_dead_units"], first["verdict_lr_too_high"]) == ("0.5", "0.5")
    assert not {"verdict_overfitting"} & {*first}
