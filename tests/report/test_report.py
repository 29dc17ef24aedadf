import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from optlab.config import ConfigError
from optlab.records import RunRecord
from optlab.report import report
from optlab.report.page import Section
from optlab.report.report import Source

MakeRun = Callable[..., RunRecord]


def test_report_reads_run_folders_and_writes_text_csv_and_figure(
    make_run: MakeRun, tmp_path: Path
) -> None:
    for name, value in (("adam", 0.9), ("sgd", 0.6)):
        for seed in range(2):
            make_run(
                {"seed": seed, "optimizer": {"name": name}},
                val={"loss": 1.0, "accuracy": value + 0.01 * seed},
                curves={"accuracy/val": [0.1, value], "loss/val": [0.25, 1.0]},
            )
    made = report(tmp_path)
    assert made.csv == tmp_path / "report.csv"
    assert made.curves == tmp_path / "curves.csv"
    assert made.figure == tmp_path / "report.png"
    assert made.text.index("adam") < made.text.index("sgd")
    rows = [line.split(",") for line in made.csv.read_text().splitlines()]
    assert rows[1][:2] == ["1", "adam"]
    assert dict(zip(rows[0], rows[1], strict=True))["best_val_loss"] == "0.25"
    assert made.figure.stat().st_size > 10_000


def test_report_of_one_run_is_written_into_its_folder(make_run: MakeRun) -> None:
    run = make_run({"seed": 0, "optimizer": {"name": "adam"}}, val={"loss": 0.5})
    made = report(run.folder, pictures=False)
    assert made.text.startswith("1 run in 1 cell")
    assert {"report.csv", "curves.csv", "report.png"} <= {
        path.name for path in run.folder.iterdir()
    }


def test_reporting_again_gives_the_same_text(make_run: MakeRun, tmp_path: Path) -> None:
    make_run({"seed": 0}, val={"loss": 0.5})
    first, second = (report(tmp_path, pictures=False) for _ in range(2))
    assert first.text == second.text


def test_every_figure_and_table_of_the_page_is_a_file_and_nothing_else_is(
    make_run: MakeRun, tmp_path: Path
) -> None:
    for lr in (0.01, 0.1):
        for seed in range(2):
            make_run(
                {"seed": seed, "optimizer": {"name": "adam", "lr": lr}},
                val={"loss": lr, "accuracy": 1 - lr},
                curves={"accuracy/val": [0.1, 1 - lr], "loss/val": [0.25, lr]},
            )
    folder = tmp_path / "report"
    folder.mkdir()
    for name in (".files", "of_an_earlier_report.svg", "of_a_user.csv"):
        (folder / name).write_text("of_an_earlier_report.svg\n../report.csv\n")
    made = report(tmp_path)
    assert (folder / "of_a_user.csv").exists()
    assert made.csv.exists()
    (folder / "of_a_user.csv").unlink()
    linked = set(re.findall(r'href="(report/[^"]+)"', made.page.read_text()))
    found = {f"report/{path.name}" for path in folder.iterdir()}
    assert {"report/ranking.csv", "report/intervals.svg"} <= linked
    assert found == linked | {"report/curves.parquet", "report/.files"}
    without = report(tmp_path, pictures=False)  # as at the end of a sweep
    assert not [*folder.iterdir()]
    assert 'href="report/' not in without.page.read_text()


def test_an_added_section_stands_where_it_says_or_in_the_place_of_the_one_of_its_name(
    make_run: MakeRun, tmp_path: Path
) -> None:
    make_run({"seed": 0}, val={"loss": 0.5})
    added = (
        Section("protocol", "The protocol", after="question"),
        Section("last", "Last", after="a section that is not there"),
        Section("verdicts", "Other verdicts"),
    )
    builders = [lambda _, section=section: section for section in added]
    made = report(Source([tmp_path], sections=builders), pictures=False)
    assert made.page is not None
    headings = re.findall(r"<h2[^>]*>([^<]+)</h2>", made.page.read_text())
    assert headings[:3] == ["The question", "The protocol", "The ranking"]
    assert headings[-1] == "Last"
    assert "Verdicts" not in headings
    assert headings.index("Other verdicts") < headings.index("Environment")


def test_the_text_ends_with_the_places_of_its_files(make_run: MakeRun, tmp_path: Path) -> None:
    make_run({"seed": 0}, val={"loss": 0.5})
    made = report(tmp_path, pictures=False)
    assert [Path(line.split()[-1]) for line in made.text.splitlines()[-3:]] == [
        made.csv,
        made.curves,
        made.figure,
    ]


def test_the_text_keeps_to_a_width(make_run: MakeRun, tmp_path: Path) -> None:
    make_run({"seed": 0, "optimizer": {"name": "adam"}}, val={"loss": 0.5})
    assert "final val loss" in report(tmp_path, pictures=False).text
    narrow = report(tmp_path, width=40, pictures=False).text
    assert "(no room for best val loss, final val" in narrow
    ranked = narrow.partition("\nreport ")[0]  # paths of files are as long as they are
    assert max(map(len, ranked.splitlines())) <= 40


@pytest.fixture
def study(make_run: MakeRun, tmp_path: Path) -> Path:
    """Runs of two tasks: sizes, lists and rates in the keys, one diverged, one interrupted."""
    sizes = {"batch_gd": "full", "adam": 32, "sgd": 1}
    for task in ("digits", "moons"):
        for i, (name, size) in enumerate(sizes.items()):
            for lr in (1e-3, 0.1 + 0.2):
                value = 0.5 + 0.15 * i + lr / 100
                make_run(
                    {
                        "seed": 0,
                        "task": {"name": task},
                        "model": {"hidden": [64] if lr < 0.1 else [64, 32]},
                        "optimizer": {"name": name, "lr": lr},
                        "trainer": {"batch_size": size},
                    },
                    val={"loss": 1 / 3, "accuracy": value},
                    curves={"accuracy/val": [0.1, 1 / 3, value], "loss/val": [2.0, 1.0, 1 / 3]},
                )
    more = {"task": {"name": "moons"}, "optimizer": {"name": "adam", "lr": 1e-3}}
    make_run({**more, "seed": 1}, status="diverged", curves={"accuracy/val": [0.1]})
    make_run({**more, "seed": 2}, status="interrupted")
    return tmp_path


def test_a_report_is_made_again_from_its_tables_alone(
    study: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = report(study, pictures=False)
    copy = tmp_path_factory.mktemp("committed")
    for table in (first.csv, first.curves):
        shutil.copy(table, copy)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.iterdir()}
    again = report(copy)
    # Without runs there is nothing to object to, and no page.
    ranked, _, places = again.text.rpartition("\nranking  ")
    assert first.text.startswith(ranked)
    assert "moons" in ranked
    assert first.text.endswith(places.replace(str(copy), str(study)))
    assert again.figure.read_bytes() == first.figure.read_bytes()
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before  # only read


def test_where_there_are_runs_the_tables_are_written_anew(study: Path) -> None:
    first = report(study, pictures=False)
    tables = {path: path.read_bytes() for path in (first.csv, first.curves)}
    for path in tables:
        path.write_text("of another day\n")
    assert report(study, pictures=False).text == first.text
    assert {path: path.read_bytes() for path in tables} == tables


@pytest.mark.parametrize("missing", ["report.csv", "curves.csv"])
def test_one_table_without_the_other_is_an_error(
    study: Path, tmp_path_factory: pytest.TempPathFactory, missing: str
) -> None:
    made = report(study, pictures=False)
    copy = tmp_path_factory.mktemp("incomplete")
    shutil.copy(made.csv if missing == "curves.csv" else made.curves, copy)
    with pytest.raises(ConfigError, match=f"{missing}.*restore both"):
        report(copy)
    assert not (copy / "report.png").exists()


def test_a_folder_without_ended_runs_and_tables_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no ended run"):
        report(tmp_path)


def test_where_every_run_is_damaged_there_is_no_report(make_run: MakeRun, tmp_path: Path) -> None:
    (make_run({"seed": 0}).folder / "result.json").write_text("{")
    with pytest.raises(ConfigError, match=r"run_000/result\.json"):
        report(tmp_path)


def test_reporting_needs_no_torch() -> None:
    modules = "sys, optlab.report, optlab.report.pictures.overview"
    code = f"import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
