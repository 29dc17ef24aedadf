"""The window of recorded values and the update at which a loss stopped being finite."""

import pytest
import torch

from optlab.train.recorder import Diverged, Recorder


@pytest.fixture
def records():
    return []


def make(records, names=("loss", "accuracy")):
    return Recorder(names, lambda *record: records.append(record), updates_per_epoch=4)


def test_a_flush_records_the_mean_over_the_window_at_its_last_update(records):
    recorder = make(records)
    for loss in (1.0, 2.0, 6.0):
        recorder.add([torch.tensor(loss), torch.tensor(loss / 10)])
    recorder.flush(lr=0.5)
    ((update, epoch, values),) = records
    assert (update, epoch) == (3, 0.75)
    assert values == pytest.approx({"loss/train": 3.0, "accuracy/train": 0.3, "lr": 0.5})


def test_a_state_such_as_a_coordinate_is_recorded_as_it_is_last(records):
    recorder = make(records, ("loss", "point/x0"))
    recorder.add([torch.tensor(1.0), torch.tensor(5.0)])
    recorder.add([torch.tensor(1.0), torch.tensor(7.0)])
    recorder.flush()
    assert records[0][2]["point/x0"] == 7.0


def test_an_empty_window_records_nothing(records):
    make(records).flush()
    assert records == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_divergence_names_the_exact_update_and_keeps_the_curve(records, bad):
    recorder = make(records)
    recorder.add([torch.tensor(1.0), torch.tensor(0.0)])
    recorder.flush()
    for loss in (2.0, bad, bad):
        recorder.add([torch.tensor(loss), torch.tensor(0.0)])
    with pytest.raises(Diverged, match="update 3") as caught:
        recorder.flush()
    assert caught.value.update == 3
    assert [record[0] for record in records] == [1, 4]
