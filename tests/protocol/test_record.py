"""What ``protocol.json`` keeps."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from optlab.config import ConfigError
from optlab.protocol.folders import PROTOCOL_FILE, is_followed
from optlab.protocol.line import Line
from optlab.protocol.record import (
    new_record,
    read_record,
    refuse_other,
    refuse_sweep,
    write_record,
)
from optlab.sweep.refusal import FolderTakenError
from tests.protocol.following import protocol, winner

LINE = Line("own.yaml", Path("out"), ("optimizer=adam,nag", "task=digits"))


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = replace(
        new_record(LINE, protocol()),
        left_out=("foreign",),
        winners=(winner(tuned=0.1 + 0.2, edges=("lr",)), winner(metric="loss", scores=())),
        baselines=(winner("nag", metric="loss", scores=(math.inf, 0.1)),),
        targets={"digits": {"metric": "accuracy", "value": 0.9, "from": "nag"}},
    )
    assert not is_followed(tmp_path)
    write_record(tmp_path, record)
    assert is_followed(tmp_path)
    found = read_record(tmp_path)
    assert found == replace(record, protocol=found.protocol)
    assert found.protocol.digest == record.protocol.digest
    assert found.line(tmp_path) == replace(LINE, folder=tmp_path)


def test_it_tells_programs_what_was_followed(tmp_path):
    write_record(tmp_path, new_record(LINE, protocol()))
    found = json.loads((tmp_path / PROTOCOL_FILE).read_text())
    assert (found["protocol"], found["version"], len(found["digest"])) == ("own.yaml", 1, 12)
    assert found["targets"] == {}


def test_it_is_judged_when_every_winner_has_its_scores():
    record = new_record(LINE, protocol())
    assert not record.is_judged
    assert not replace(record, winners=(winner(), winner(scores=()))).is_judged
    assert replace(record, winners=(winner(), winner("nag"))).is_judged


def test_another_protocol_or_line_is_refused():
    record = new_record(LINE, protocol())
    refuse_other(record, LINE, protocol())
    with pytest.raises(FolderTakenError, match=r"out follows protocol own\.yaml"):
        refuse_other(record, LINE, protocol(budgets=[1, 3]))
    other = replace(LINE, words=("optimizer=adam,nag", "task=xor"))
    with pytest.raises(FolderTakenError, match=r"\(task=digits there, task=xor here\)"):
        refuse_other(record, other, protocol())


def test_the_folder_of_a_sweep_is_refused(tmp_path):
    refuse_sweep(tmp_path)
    (tmp_path / "ledger.sqlite").touch()
    with pytest.raises(FolderTakenError, match="follows no protocol"):
        refuse_sweep(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"protocol": "own"}', '{"content": {"version": 0}}'])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / PROTOCOL_FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"cannot read .*protocol\.json|version"):
        read_record(tmp_path)
