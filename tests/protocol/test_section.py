"""The section of a report about its protocol."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from optlab.protocol.line import Line
from optlab.protocol.record import new_record
from optlab.protocol.section import protocol_section
from optlab.report.charts import Chart, Panels
from optlab.report.evidence import Evidence
from optlab.report.ranking import rank
from tests.protocol.following import protocol, record_of, winner

LINE = Line("own.yaml", Path("out"), ("optimizer=adam,nag", "task=digits"))
TARGET = {"digits": {"metric": "accuracy", "value": 0.8, "from": "nag"}}


def section(*winners, **changes):
    runs = [record_of(job, 0.5) for w in winners for job in w.jobs([7, 8])]
    evidence = Evidence(runs, rank(runs)) if runs else None
    record = replace(new_record(LINE, protocol()), winners=winners, **changes)
    return protocol_section(record)(evidence)


def rows(found, name):
    (table,) = [table for table in found.tables if table.name == name]
    heads = [column.key for column in table.columns]
    return [dict(zip(heads, row, strict=True)) for row in table.rows]


def test_each_optimizer_has_a_line_over_budgets_with_its_interval_on_fresh_seeds():
    found = section(
        winner(budget=1, scores=(0.5, 0.7)), winner(budget=4, scores=(0.8, 0.9)), winner("nag")
    )
    (chart,) = found.figures
    assert isinstance(chart, Chart)
    assert [series.name for series in chart.series] == ["adam", "nag"]
    line = chart.series[0]
    np.testing.assert_allclose(line.x, [1, 4])
    np.testing.assert_allclose(line.y, [0.6, 0.85])
    assert (line.low < line.y).all()
    assert (line.high > line.y).all()
    assert (line.high <= 1).all()


def test_the_table_has_what_was_chosen_what_it_came_to_and_what_it_cost():
    (row,) = rows(section(winner(tuned=0.95, misses=1)), "protocol_winners")
    expected = {"budget": 4, "trial": 3, "values": "lr=0.01", "tuned": 0.95, "runs": 2}
    assert {key: row[key] for key in expected} == expected
    assert (row["tuning_runs"], row["missed"], row["tuning_row_gradients"]) == (4, 1, 100)
    assert row["mean"] == pytest.approx(0.85)


def test_every_task_and_schedule_is_told_apart():
    wave = ("optimizer=adam", "task=digits", "schedule=cosine")
    flat = ("optimizer=adam", "task=digits", "schedule=constant")
    other = ("optimizer=adam", "task=xor", "schedule=constant")
    found = section(winner(setting=wave), winner(setting=flat), winner(setting=other, group="xor"))
    (panels,) = found.figures
    assert isinstance(panels, Panels)
    assert {series.name for series in panels.charts[0].series} == {
        "adam, schedule=cosine",
        "adam, schedule=constant",
    }
    assert {row["task"] for row in rows(found, "protocol_winners")} == {"digits", "xor"}


def test_it_says_what_flattered_what_lies_at_an_edge_and_what_the_target_is():
    edge = winner(tuned=0.95, edges=("lr",), scores=(0.8, 0.84))
    said = " ".join(section(edge, targets=TARGET, left_out=("foreign",)).sentences)
    assert "their accuracy is by 0.13 worse on fresh seeds" in said
    assert "At the edge of what was searched lie adam (lr of 0.01 on digits)" in said
    assert "Target of digits: validation accuracy 0.8, nag." in said
    assert "Left out: foreign" in said
    said = " ".join(section(winner(tuned=0.5)).sentences)
    assert "Winners do as well on fresh seeds" in said
    assert "No target" in said


def test_losses_are_worse_when_they_are_higher():
    lost = winner(metric="loss", tuned=0.1, scores=(0.3, 0.5))
    assert "their loss is by 0.3 worse" in " ".join(section(lost).sentences)
    nothing = winner(metric="loss", tuned=float("inf"), scores=(float("inf"),) * 2)
    assert "worse on fresh seeds" not in " ".join(section(nothing).sentences)


def test_one_that_is_not_finished_warns_and_compares_nothing():
    found = section()
    assert "It is not finished" in " ".join(found.sentences)
    assert found.figures == ()
    assert {row["optimizer"] for row in rows(found, "protocol_space")} == {"adam", "nag"}
