import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.report.charts import Array
from optlab.report.html.arrays import SHORT, number, packed


def unpacked(content: dict[str, str]) -> Array:
    """Read a packed array as plotly.js does: little-endian, rows in order."""
    flat = np.frombuffer(base64.b64decode(content["bdata"]), dtype=f"<{content['dtype']}")
    shape = [int(n) for n in content.get("shape", str(len(flat))).split(", ")]
    return flat.reshape(shape).astype(float)


@given(st.lists(st.floats(-1e300, 1e300), min_size=SHORT + 1, max_size=40))
def test_long_arrays_keep_six_digits(values: list[float]) -> None:
    found = packed(np.array(values))
    assert isinstance(found, dict)
    np.testing.assert_allclose(unpacked(found), values, rtol=1e-6)


@pytest.mark.parametrize(("top", "kind"), [(100, "i1"), (1000, "i2"), (100000, "i4")])
def test_whole_numbers_are_as_small_as_they_can_be(top: int, kind: str) -> None:
    found = packed(np.linspace(0, top, 21).round())
    assert isinstance(found, dict)
    assert found["dtype"] == kind
    np.testing.assert_array_equal(unpacked(found), np.linspace(0, top, 21).round())


def test_gaps_are_nan_in_long_arrays_and_null_in_short_ones() -> None:
    values = np.array([1.0, np.nan, np.inf, -np.inf])
    assert packed(values) == [1, None, None, None]
    found = packed(np.tile(values, 5))
    assert isinstance(found, dict)
    np.testing.assert_array_equal(unpacked(found)[:4], [1, np.nan, np.nan, np.nan])


def test_planes_keep_their_shape() -> None:
    plane = np.arange(20.0).reshape(4, 5) / 7
    found = packed(plane)
    assert isinstance(found, dict)
    np.testing.assert_allclose(unpacked(found), plane, rtol=1e-6)
    assert packed(plane[:2, :2]) == [[0, 0.142857], [0.714286, 0.857143]]


@given(st.floats())
def test_a_number_is_json_and_as_short_as_six_digits(value: float) -> None:
    text = json.dumps(number(value), allow_nan=False)
    if np.isfinite(value):
        assert float(text) == pytest.approx(value, rel=1e-5)
        assert len(text) <= len("-1.23456e-300") + 1 or float(text).is_integer()
    else:
        assert text == "null"
