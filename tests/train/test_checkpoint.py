"""Checkpoints on disk: the last two, whole or refused, readable without running code."""

import pytest
import torch

from optlab.train.checkpoint import FORM, KEPT, Checkpoints, NotKept, require_plain


def written(folder, *updates):
    """Keep a state after each of some updates."""
    checkpoints = Checkpoints(folder / "checkpoints")
    for update in updates:
        checkpoints.write(update, {"updates": update, "weights": [torch.full((3,), float(update))]})
    return checkpoints


def files(checkpoints):
    return sorted(checkpoints.folder.glob("*.pt"))


def found(checkpoints, refusal=lambda content: ""):
    content, reasons = checkpoints.newest(refusal)
    return None if content is None else content["updates"], reasons


def test_the_last_two_are_kept_and_the_newest_is_used(tmp_path):
    checkpoints = written(tmp_path, 1, 2, 999_999_999_999)
    assert len(files(checkpoints)) == KEPT
    assert found(checkpoints) == (999_999_999_999, [])


def test_torch_reads_a_file_as_nothing_but_data(tmp_path):
    (path,) = files(written(tmp_path, 7))
    content = torch.load(path, weights_only=True)
    assert (content["form"], content["updates"]) == (FORM, 7)
    assert content["weights"][0].tolist() == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("size", [0, 100, -1])
def test_after_a_truncated_file_comes_the_one_before_it(tmp_path, size):
    checkpoints = written(tmp_path, 1, 2)
    newest = files(checkpoints)[-1]
    newest.write_bytes(newest.read_bytes()[:size])
    update, (reason,) = found(checkpoints)
    assert (update, reason) == (1, f"{newest}: it is damaged")
    assert not newest.exists()


def test_a_changed_bit_is_damage(tmp_path):
    (path,) = files(checkpoints := written(tmp_path, 1))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert found(checkpoints) == (None, [f"{path}: it is damaged"])


def test_a_refused_file_stays_where_no_other_is_used(tmp_path):
    checkpoints = written(tmp_path, 1, 2)
    update, reasons = found(checkpoints, lambda content: f"not {content['updates']}")
    assert update is None
    assert [reason.rpartition(": ")[2] for reason in reasons] == ["not 2", "not 1"]
    assert len(files(checkpoints)) == 2


def test_a_file_of_another_form_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("optlab.train.checkpoint.FORM", FORM + 1)
    checkpoints = written(tmp_path, 1)
    monkeypatch.undo()
    _, (reason,) = found(checkpoints)
    assert "another form" in reason


class Attack:
    """What runs code when it is unpickled by `pickle`."""

    def __reduce__(self):
        return print, ("attacked",)


def test_a_hostile_file_runs_no_code(tmp_path, capsys):
    checkpoints = written(tmp_path)
    checkpoints.folder.mkdir()
    path = checkpoints.folder / "draft"
    torch.save({"form": FORM, "attack": Attack()}, path)
    from optlab.train.checkpoint import _digest

    path.rename(checkpoints.folder / f"{1:012d}-{_digest(path.read_bytes())}.pt")
    _, (reason,) = found(checkpoints)
    assert "it cannot be read" in reason
    assert "attacked" not in capsys.readouterr().out


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    with pytest.raises(NotKept, match=r"groups\[0\]\.rule is a builtins\.function"):
        checkpoints.write(1, {"groups": [{"rule": lambda x: x}]})
    assert not checkpoints.folder.exists()


def test_tensors_numbers_texts_and_what_holds_them_are_plain():
    require_plain({"a": [1, 2.0, "x", None, True, (torch.zeros(1),)], 0: {}})


def test_removing_takes_all_of_them(tmp_path):
    checkpoints = written(tmp_path, 1, 2)
    checkpoints.remove()
    assert found(checkpoints) == (None, [])
