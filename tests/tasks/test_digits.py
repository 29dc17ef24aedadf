import subprocess
import sys

import pytest
import torch
from sklearn.datasets import load_digits

from optlab import seeding
from optlab.config import ConfigError
from optlab.tasks.digits import Digits, randomize_labels, read_digits


def splits_of(task: Digits):
    data = task.load()
    return data.train, data.val, data.test


def sorted_rows(*splits) -> list[list[float]]:
    return sorted(row for s in splits for row in torch.cat([s.x, s.y[:, None]], 1).tolist())


def test_rows_are_those_of_scikit_learn():
    pixels, labels = load_digits(return_X_y=True)
    x, y = read_digits()
    assert x.shape == (1797, 64)
    assert torch.equal(x.double(), torch.from_numpy(pixels))
    assert torch.equal(y, torch.from_numpy(labels))


def test_loading_imports_neither_scikit_learn_nor_torchvision():
    code = (
        "import sys, optlab.tasks.digits as d, optlab.tasks; d.Digits().load(); "
        "sys.exit(bool({'sklearn', 'torchvision'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_splits_hold_every_row_once():
    x, y = read_digits()
    splits = splits_of(Digits(standardize=False))
    assert [len(s) for s in splits] == [1078, 360, 359]
    expected = sorted(torch.cat([x, y[:, None]], 1).tolist())
    assert sorted_rows(*splits) == expected


def test_classes_are_in_proportion_in_every_split():
    labels = read_digits()[1]
    for split in splits_of(Digits()):
        expected = labels.bincount() * (len(split) / len(labels))
        # a split is the difference of two prefixes of a stratified order, each within 2 rows
        assert (split.y.bincount(minlength=10) - expected).abs().max() <= 4


def test_another_data_seed_is_another_split():
    first, second = (Digits(data_seed=s).load().test.y for s in (0, 1))
    assert not torch.equal(first, second)


def test_standardized_training_pixels_have_mean_0_and_variance_1_or_0():
    train, val, test = splits_of(Digits())
    variance = train.x.double().var(0, correction=0)
    constant = splits_of(Digits(standardize=False))[0].x.var(0) == 0
    assert constant.sum() >= 3  # pixels 0, 32, 39 are blank in every digit
    assert train.x.double().mean(0).abs().max() < 1e-6  # float32 rounding
    assert (variance[~constant] - 1).abs().max() < 1e-5
    assert variance[constant].max() == 0
    assert val.x.mean(0).abs().max() > 0.01, "validation rows have their own mean"
    assert test.x.isfinite().all()


def test_train_rows_keeps_some_of_the_training_split_in_proportion():
    all_rows, val, test = splits_of(Digits(standardize=False))
    train, same_val, same_test = splits_of(Digits(standardize=False, train_rows=300))
    assert len(train) == 300
    kept, known = sorted_rows(train), sorted_rows(all_rows)
    assert all(row in known for row in kept)
    assert (train.y.bincount() - 30).abs().max() <= 3  # classes are equal to within 3 percent
    assert torch.equal(same_val.x, val.x)
    assert torch.equal(same_test.y, test.y)


def test_kept_rows_alone_set_the_statistics():
    train = Digits(train_rows=300).load().train
    assert train.x.double().mean(0).abs().max() < 1e-6  # float32 rounding


def test_more_training_rows_than_there_are_is_an_error():
    with pytest.raises(ConfigError, match=r"train_rows must be at most 1078.*got 1079"):
        Digits(train_rows=1079).load()


def test_label_noise_touches_training_labels_only():
    clean, noisy = Digits().load(), Digits(label_noise=0.2).load()
    assert torch.equal(clean.train.x, noisy.train.x)
    assert torch.equal(clean.val.y, noisy.val.y)
    assert torch.equal(clean.test.y, noisy.test.y)
    flipped = (clean.train.y != noisy.train.y).sum().item()
    assert noisy.notes == {"labels_randomized": 216.0, "labels_flipped": flipped}
    assert clean.notes == {"labels_randomized": 0.0, "labels_flipped": 0.0}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_labels_drawn_anew_are_wrong_nine_times_in_ten(share):
    labels = torch.arange(10_000) % 10
    noisy, drawn = randomize_labels(labels, share, 10, seeding.generator(0, "data"))
    assert drawn == share * 10_000
    flipped = (noisy != labels).sum().item()
    # five standard deviations of a binomial count
    assert abs(flipped - 0.9 * drawn) <= 5 * (0.09 * drawn) ** 0.5
    assert torch.equal(labels, torch.arange(10_000) % 10), "the argument is left as it is"


def test_sort_by_class_orders_the_training_rows_and_changes_no_row():
    plain, ordered = Digits().load(), Digits(sort_by_class=True).load()
    assert (ordered.train.y.diff() >= 0).all()
    assert sorted_rows(ordered.train) == sorted_rows(plain.train)
    assert torch.equal(ordered.val.x, plain.val.x)
