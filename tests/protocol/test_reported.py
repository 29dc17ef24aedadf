"""What a report makes of the folder of a protocol."""

import re

from optlab.protocol.reported import compared, protocol_sections
from optlab.records import collect
from optlab.report.evidence import Evidence
from optlab.report.ranking import rank
from optlab.reporting import asked, write_report


def test_the_report_is_of_winners_on_fresh_seeds_after_the_sweep_and_later(followed, copied):
    made = write_report(asked(["out"]), None, pictures=False)
    assert made.text.startswith("4 runs in 2 cells")
    page = (copied / "out" / "report.html").read_text()
    assert "The protocol" in page
    assert "What a budget buys, on fresh seeds" in page
    headings = re.findall(r"<h2[^>]*>([^<]+)</h2>", page)
    assert headings[:3] == ["The question", "The protocol", "The ranking"]
    tuned = headings.index("Best of k trials")
    assert headings.index("Learning curves") < tuned < headings.index("Divergence")
    assert not list((copied / "out").glob("*/report.html"))
    for name in ("report.csv", "curves.csv"):
        assert (copied / "out" / name).read_bytes() == (followed / "out" / name).read_bytes()


def test_trials_stand_beside_winners_in_the_same_looks(copied, monkeypatch):
    seen = []
    monkeypatch.setattr("optlab.protocol.reported.budget", seen.append)
    _, _, of_trials = protocol_sections([copied / "out"])
    records = collect(copied / "out" / "rerun")
    shown = Evidence(records, rank(records))
    assert of_trials(shown) is None
    (trials,) = seen
    assert trials.looks is shown.looks
    assert len(trials.records) == 2 * 4


def test_several_folders_are_compared_by_what_of_each_is_to_be_compared(copied):
    (copied / "other").mkdir()
    assert compared(copied / "out") == copied / "out" / "rerun"
    assert compared(copied / "other") == copied / "other"
    assert len(protocol_sections([copied / "out", copied / "other"])) == 3
    assert protocol_sections([copied / "out", copied / "out"]) == ()  # whose would they be?
