import json
import re

import pytest

from optlab.report.charts import Views
from optlab.report.html.blocks import Blocks
from optlab.report.html.json_text import script_json
from optlab.report.page import Column, Objection, Section, Table
from tests.report.example_sections import OBJECTIONS, sections, table
from tests.report.examples import HOSTILE, hostile, learning_curves


def test_figures_and_tables_are_numbered_through_the_page() -> None:
    blocks = Blocks("report", ())
    text = "".join(blocks.section(section) for section in sections())
    numbers = [int(n) for n in re.findall(r"<b>Figure (\d+)\.", text)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert re.findall(r"<b>Table (\d+)\.", text) == ["1", "2"]


def test_files_are_named_where_there_are_some() -> None:
    section = Section("a", "A", (), (learning_curves(),), (table(),))
    with_files = Blocks("report", ()).section(section)
    for name in ("curves.svg", "curves.png", "cells.csv", "cells.parquet"):
        assert f'<a href="report/{name}">' in with_files
    assert "href" not in Blocks("", ()).section(section)


def test_files_of_several_views_fold() -> None:
    views = Views("by_task", "A", "", {"blobs": learning_curves(), "digits": learning_curves()})
    text = Blocks("report", ()).section(Section("a", "A", (), (views,)))
    (found,) = re.findall(r'<details class="files">(.*?)</details>', text)
    assert found.startswith("<summary>files of the 2 views</summary>")
    assert re.findall(r">(blobs|digits): <a", found) == ["blobs", "digits"]


def test_a_column_may_be_in_files_alone() -> None:
    columns = (Column("cell", "cell"), Column("sentence", "sentence", is_shown=False))
    hidden = Table("a", "A", "", columns, [("adam", "very long")])
    text = Blocks("", ()).section(Section("a", "A", tables=(hidden,)))
    assert "adam" in text
    assert "sentence" not in text
    assert "very long" not in text


def test_objections_stand_above_the_ranking_and_across_it() -> None:
    ranking, other = Section("ranking", "Ranking"), Section("other", "Other")
    text = Blocks("", OBJECTIONS).section(ranking)
    assert text.count("not a fair comparison yet: 2 objections") > 1
    assert "Not a fair comparison yet: 2 objections" in text
    assert OBJECTIONS[0].sentence in text
    assert f"<code>{OBJECTIONS[0].command}</code>" in text
    assert "fair" not in Blocks("", OBJECTIONS).section(other)
    assert "fair" not in Blocks("", ()).section(ranking)


def test_one_objection_is_one() -> None:
    text = Blocks("", OBJECTIONS[:1]).section(Section("ranking", "Ranking"))
    assert "yet: 1 objection<" in text


def test_commands_of_a_section_can_be_copied() -> None:
    text = Blocks("", ()).section(Section("a", "A", commands=("optlab sweep 'lr=[1]'",)))
    assert "<code>optlab sweep &#x27;lr=[1]&#x27;</code>" in text
    assert "copy" in text


def test_rows_beyond_the_first_are_data() -> None:
    text = Blocks("", ()).section(Section("a", "A", tables=(table(35),)))
    assert text.count("<tr>") == 1 + 30
    assert "Show all 35 rows" in text
    found = re.search(r'json">(.*?)</script>', text)
    assert found
    rest = json.loads(found[1])
    assert len(rest) == 5
    assert rest[0][0] == "optimizer 30"
    assert "Show all" not in Blocks("", ()).section(Section("a", "A", tables=(table(30),)))


def test_a_table_without_rows_keeps_its_headings() -> None:
    empty = Table("a", "A", "", (Column("cell", "cell"),), [])
    assert ">cell</button>" in Blocks("", ()).section(Section("a", "A", tables=(empty,)))


@pytest.mark.parametrize("value", [HOSTILE, [HOSTILE], {HOSTILE: 1}])
def test_json_in_a_page_ends_no_script_and_means_the_same(value: object) -> None:
    text = script_json(value)
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text) == value


def test_nothing_of_a_user_is_markup() -> None:
    named = Objection(HOSTILE, HOSTILE, HOSTILE)
    section = Section(
        "ranking",
        HOSTILE,
        (HOSTILE,),
        (hostile(),),
        (Table("bad", HOSTILE, HOSTILE, (Column(HOSTILE, "x"),), [(HOSTILE,)] * 9, most=3),),
        (HOSTILE,),
    )
    text = Blocks("report", (named,)).section(section)
    assert "<b onclick" not in text
    assert "<!--" not in text
    assert text.count("</script>") == text.count("<script") == 2
