import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.util import tensor_util

from optlab.loggers import event_values


def array_of(value: Summary.Value) -> np.ndarray:
    return np.asarray(tensor_util.make_ndarray(value.tensor))


@pytest.mark.parametrize(
    "numbers",
    [
        np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32),
        np.arange(7),
        np.full(5, 0.25),
        np.array([-1e300, 1e-300, 1e300]),
        np.empty(0),
    ],
    ids=["matrix", "integers", "one number", "far apart", "none"],
)
def test_a_histogram_is_that_of_tensorboards_own_writer(numbers: np.ndarray) -> None:
    (theirs,) = histogram_pb("weights/w", numbers).value
    ours = event_values.histogram_value("weights/w", numbers)
    np.testing.assert_allclose(array_of(ours), array_of(theirs), rtol=1e-12)
    assert ours.metadata.plugin_data == theirs.metadata.plugin_data


def test_a_histogram_counts_finite_numbers_only() -> None:
    with_others = event_values.buckets([1.0, np.nan, 2.0, np.inf, -np.inf, 1.7e308, -1.7e308])
    np.testing.assert_array_equal(with_others, event_values.buckets([1.0, 2.0]))
    assert not event_values.buckets([np.nan]).any()


def test_numbers_that_differ_in_their_last_bit_are_one_bucket() -> None:
    found = event_values.buckets([1.0, np.nextafter(1.0, 2.0)])
    assert found[:, 2].sum() == found[-1, 2] == 2


def test_a_picture_says_its_size_in_pixels() -> None:
    content = io.BytesIO()
    Figure(figsize=(3, 2), dpi=50).savefig(content, format="png")
    value = event_values.image_value("confusion", content.getvalue())
    assert list(array_of(value)) == [b"150", b"100", content.getvalue()]


def test_what_is_no_png_is_refused() -> None:
    with pytest.raises(ValueError, match="got b'GIF89a'"):
        event_values.image_value("confusion", b"GIF89a")
