"""The window of recorded values and the update at which a loss stopped being finite."""

import pytest
import torch

from optlab.train import Objective
from optlab.train.recorder import Diverged, Recorder


@pytest.fixture
def records():
    return []


def make(records, names=("accuracy",), **options):
    objective = Objective(lambda z, y: z, lambda z, y: {}, names, **options)
    return Recorder(objective, lambda *record: records.append(record), updates_per_epoch=4)


def test_a_flush_records_the_mean_over_the_window_at_its_last_update(records):
    recorder = make(records)
    for loss in (1.0, 2.0, 6.0):
        recorder.add([torch.tensor(loss), torch.tensor(loss / 10)])
    recorder.flush(lr=0.5)
    ((update, epoch, values),) = records
    assert (update, epoch) == (3, 0.75)
    assert values == pytest.approx({"loss/train": 3.0, "accuracy/train": 0.3, "lr": 0.5})


def test_a_root_is_taken_of_the_mean_and_not_averaged(records):
    """LOS-15: rmse^2 is mse over a window too; (1 + 9) / 2 = 5, the roots' mean would be 2."""
    recorder = make(records, ("rmse",), roots=("rmse",))
    for square in (1.0, 9.0):
        recorder.add([torch.tensor(square), torch.tensor(square)])
    recorder.flush()
    assert records[0][2] == {"loss/train": 5.0, "rmse/train": 5.0**0.5}


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
