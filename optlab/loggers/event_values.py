"""What an event holds beside scalars: texts, histograms and pictures, in TensorBoard 2's form.

Each is a tensor with a note of the page that shows it. Nothing here needs TensorFlow or
`torch.utils.tensorboard`.

Shapes: buckets B.
"""

import functools
import struct

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.histogram import metadata as of_histograms
from tensorboard.plugins.image import metadata as of_images
from tensorboard.plugins.text import metadata as of_texts

LARGEST = 2.0**1022  # number in a histogram: differences of two must not overflow
BUCKETS = 30  # as many as TensorBoard's own writer makes
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def text_value(tag: str, markdown: str) -> Summary.Value:
    """Return a text for the page ``Text``."""
    tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode()])
    about = of_texts.create_summary_metadata(tag, "")
    return Summary.Value(tag=tag, tensor=tensor, metadata=about)


def image_value(tag: str, png: bytes) -> Summary.Value:
    """Return a picture for the page ``Images``.

    Args:
        tag: Its name.
        png: The file's content.

    Raises:
        ValueError: When that is no PNG.
    """
    if not png.startswith(PNG_HEAD):
        raise ValueError(f"a picture begins with {PNG_HEAD!r}, got {png[:8]!r}")
    width, height = struct.unpack(">II", png[16:24])
    content = [str(width).encode(), str(height).encode(), png]
    tensor = TensorProto(dtype="DT_STRING", string_val=content, tensor_shape=_shape(3))
    about = of_images.create_summary_metadata(tag, "")
    return Summary.Value(tag=tag, tensor=tensor, metadata=about)


def histogram_value(tag: str, numbers: npt.ArrayLike) -> Summary.Value:
    """Return the distribution of some numbers for the pages ``Histograms`` and ``Distributions``.

    Args:
        tag: Its name.
        numbers: Numbers of any shape; NaN and infinity are left out.
    """
    found = buckets(numbers)
    tensor = TensorProto(
        dtype="DT_DOUBLE", tensor_shape=_shape(*found.shape), tensor_content=found.tobytes()
    )
    return Summary.Value(tag=tag, tensor=tensor, metadata=_of_histogram(tag))


def buckets(numbers: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return how many of the finite numbers lie in each of equally wide buckets.

    Returns:
        Lower end, upper end and count of each, (B, 3). Where all numbers are the same, all
        buckets are that point, and the last one has the count. Zeros where there is none.
    """
    flat = np.asarray(numbers, np.float64).ravel()
    is_shown = np.abs(flat) < LARGEST
    if not is_shown.all():
        flat = flat[is_shown]
    if not len(flat):
        return np.zeros((BUCKETS, 3))
    low, high = flat.min(), flat.max()
    width = (high - low) / BUCKETS
    if low + width == low or high - width == high:  # one number, or none lies between them
        places = np.full(len(flat), BUCKETS - 1)
    else:
        places = np.minimum(((flat - low) / width).astype(np.int64), BUCKETS - 1)
    edges = np.linspace(low, high, BUCKETS + 1)
    counts = np.bincount(places, minlength=BUCKETS)
    return np.stack([edges[:-1], edges[1:], counts], axis=1)


@functools.lru_cache(maxsize=1024)
def _of_histogram(tag: str) -> SummaryMetadata:
    """Return what says that a tag is a histogram; making it anew takes longest of all."""
    return of_histograms.create_summary_metadata(tag, "")


def _shape(*sizes: int) -> TensorShapeProto:
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])
