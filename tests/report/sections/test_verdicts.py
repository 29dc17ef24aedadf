from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optlab.records import RunRecord
from optlab.report.charts import Heatmap
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections.verdicts import verdicts
from optlab.results import Verdict

MakeRun = Callable[..., RunRecord]


def section(records: list[RunRecord]) -> Section:
    return verdicts(Evidence(records, rank(records)))


def run_of(make_run: MakeRun, name: str, seed: int, **severities: float) -> RunRecord:
    """Return a run with a verdict of each name and severity."""
    config = {"seed": seed, "optimizer": {"name": name}}
    run = make_run(config, val={"accuracy": 0.9 if name == "adam" else 0.5})
    seen = [Verdict(v, "", f"{v} of {seed}", s, 0) for v, s in severities.items()]
    return replace(run, result=replace(run.result, verdicts=seen))


def runs_of(make_run: MakeRun) -> list[RunRecord]:
    return [
        run_of(make_run, "sgd", 0, plateau=2.0, lr_too_high=1.5),
        run_of(make_run, "sgd", 1, plateau=3.0),
        run_of(make_run, "adam", 0, plateau=1.1),
        run_of(make_run, "adam", 1),
    ]


def test_runs_without_verdicts_have_one_sentence(make_run: MakeRun) -> None:
    found = section([run_of(make_run, "adam", 0)])
    assert len(found.sentences) == 1
    assert found.sentences[0].startswith("No run ended with a verdict")
    assert found.figures == ()
    assert found.tables == ()


def test_the_table_has_each_verdict_of_each_cell_in_order_of_rank(make_run: MakeRun) -> None:
    _, table = section(runs_of(make_run)).tables
    assert [list(row) for row in table.rows] == [
        [1, "adam", "plateau", 1, 2, 1.1, "plateau of 0"],
        [2, "sgd", "plateau", 2, 2, 3.0, "plateau of 1"],  # of the run where it is most severe
        [2, "sgd", "lr too high", 1, 2, 1.5, "lr_too_high of 0"],
    ]


def test_the_page_has_the_most_severe_sentence_of_each_verdict_and_the_file_all(
    make_run: MakeRun,
) -> None:
    said, by_cell = section(runs_of(make_run)).tables
    assert [list(row) for row in said.rows] == [
        ["lr too high", "sgd", "lr_too_high of 0"],
        ["plateau", "sgd", "plateau of 1"],
    ]
    assert all(column.is_shown for column in said.columns)
    assert [column.key for column in by_cell.columns if not column.is_shown] == ["sentence"]


def test_the_heatmap_has_the_share_of_runs_by_optimizer(make_run: MakeRun) -> None:
    found = section(runs_of(make_run))
    (heatmap,) = found.figures
    assert isinstance(heatmap, Heatmap)
    assert heatmap.x.names == ("lr too high", "plateau")
    assert heatmap.y.names == ("adam", "sgd")
    np.testing.assert_array_equal(heatmap.values, [[0.0, 0.5], [0.5, 1.0]])
    assert heatmap.texts == (("", "1/2"), ("1/2", "2/2"))
    assert found.sentences[0].startswith("3 of 4 runs ended with a verdict")


def test_one_optimizer_alone_has_no_heatmap(make_run: MakeRun) -> None:
    assert section([run_of(make_run, "adam", 0, plateau=2.0)]).figures == ()
