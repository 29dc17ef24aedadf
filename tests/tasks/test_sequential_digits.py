import pytest
import torch

from optlab.config import ConfigError
from optlab.tasks.digits import Digits
from optlab.tasks.sequential_digits import SequentialDigits

ORDERS = ["rows", "pixels", "permuted"]


def splits_of(task):
    data = task.load()
    return data.train, data.val, data.test


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("order", ORDERS)
def test_rows_and_labels_are_those_of_digits_in_the_same_splits(order, seed):
    ours = SequentialDigits(order=order, standardize=False, data_seed=seed)
    flat = Digits(standardize=False, data_seed=seed)
    for split, known in zip(splits_of(ours), splits_of(flat), strict=True):
        assert torch.equal(split.y, known.y)
        pixels = split.x.flatten(1)
        assert torch.equal(pixels.sort(1).values, known.x.sort(1).values)
        assert torch.equal(pixels, known.x) == (order != "permuted")


@pytest.mark.parametrize(
    ("order", "shape"), [("rows", (8, 8)), ("pixels", (64, 1)), ("permuted", (64, 1))]
)
def test_a_step_is_a_row_of_the_image_or_a_pixel(order, shape):
    assert SequentialDigits(order=order).load().input_shape == shape


def test_one_permutation_serves_all_images_of_all_splits():
    plain, permuted = (
        torch.cat([s.x for s in splits_of(SequentialDigits(order=order))]).squeeze(-1)
        for order in ("pixels", "permuted")
    )
    assert sorted(plain.T.tolist()) == sorted(permuted.T.tolist())


def permutation(seed):
    """Return where each step's pixel stands in the image; of blank pixels, the first one."""
    plain, permuted = (
        torch.cat([s.x for s in splits_of(SequentialDigits(order=order, data_seed=seed))])
        .squeeze(-1)
        .T.tolist()
        for order in ("pixels", "permuted")
    )
    return [plain.index(pixel) for pixel in permuted]


def test_the_data_seed_chooses_the_permutation():
    first, other = permutation(0), permutation(1)
    assert sorted(first) == sorted(other)
    assert first != other


@pytest.mark.parametrize("order", ORDERS)
def test_all_training_pixels_together_have_mean_0_and_variance_1(order):
    train, val, _ = splits_of(SequentialDigits(order=order))
    assert abs(train.x.double().mean()) < 1e-6  # float32 rounding
    assert train.x.double().var(correction=0).item() == pytest.approx(1.0, abs=1e-5)
    assert abs(val.x.double().mean()) > 1e-4, "validation rows have their own mean"


def test_one_scale_serves_all_pixels():
    scaled, raw = (SequentialDigits(standardize=s).load().test.x for s in (True, False))
    assert len(scaled.unique()) == len(raw.unique()) == 17


def test_an_unknown_order_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"order must be one of rows, pixels, permuted, got 'up'"):
        SequentialDigits(order="up")
