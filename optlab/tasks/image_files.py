"""The files of image sets, read with nothing in them trusted: IDX, and CIFAR-10's pickles.

A pickle can run code of whoever wrote it. One is opened only when its MD5 sum is the published one,
of the very bytes that are then read, and even so by a reader that knows arrays and nothing else.

Shapes: rows N.
"""

import codecs
import hashlib
import io
import math
import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optlab.files import DamagedFileError

Bytes = NDArray[np.uint8]

NUM_CLASSES = 10
MNIST_SIDE, CIFAR_VALUES = 28, 3 * 32 * 32


def idx_images(content: bytes) -> Bytes:
    """Return the pixels of an MNIST image file, shape (N, 28, 28), N at least 1."""
    images = _idx(content, 3)
    if len(images) == 0 or images.shape[1:] != (MNIST_SIDE, MNIST_SIDE):
        raise DamagedFileError(f"it holds images of shape {images.shape}, not (N, 28, 28)")
    return images


def idx_labels(content: bytes) -> Bytes:
    """Return the labels of an MNIST label file, shape (N,), each from 0 to 9."""
    return _checked_labels(_idx(content, 1))


def cifar_batch(content: bytes, md5: str) -> tuple[Bytes, Bytes]:
    """Return pixels (N, 3, 32, 32) and labels (N,) of one of CIFAR-10's pickles.

    Args:
        content: The file's bytes.
        md5: Their published MD5 sum, in hexadecimal digits.

    Raises:
        DamagedFileError: For other bytes, which are not opened, or a content that is no batch.
    """
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DamagedFileError(f"its MD5 sum is {found}, not the published {md5}")
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a pickle is a program: what it raises is about it
        raise DamagedFileError(f"it is no pickle of arrays ({error})") from None
    return _pixels_and_labels(batch)


def _idx(content: bytes, ndim: int) -> Bytes:
    """Return unsigned bytes in LeCun's IDX format: magic number, lengths (big-endian), values."""
    magic, start = bytes([0, 0, 8, ndim]), 4 * (ndim + 1)
    if len(content) < start:
        raise DamagedFileError(f"it has {len(content)} bytes, fewer than its header of {start}")
    if content[:4] != magic:
        raise DamagedFileError(f"it begins with {content[:4].hex()} in place of {magic.hex()}")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    if math.prod(shape) != len(content) - start:
        raise DamagedFileError(
            f"its header claims {math.prod(shape)} values, shape {shape}, and "
            f"{len(content) - start} follow"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _checked_labels(labels: Bytes) -> Bytes:
    if labels.size and labels.max() >= NUM_CLASSES:
        raise DamagedFileError(f"it holds a label {labels.max()}, and classes are 0 to 9")
    return labels


def _pixels_and_labels(batch: Any) -> tuple[Bytes, Bytes]:
    if not isinstance(batch, Mapping):
        raise DamagedFileError("it holds no batch")
    pixels, labels = batch.get("data"), batch.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise DamagedFileError("it holds no pixels")
    if pixels.ndim != 2 or pixels.shape[1] != CIFAR_VALUES:
        raise DamagedFileError(f"it holds pixels of shape {pixels.shape}, not (N, {CIFAR_VALUES})")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise DamagedFileError(f"it holds no list of {len(pixels)} labels")
    if not all(type(each) is int and 0 <= each <= 255 for each in labels):
        raise DamagedFileError("it holds labels that are no small numbers")
    return pixels.reshape(-1, 3, 32, 32), _checked_labels(np.array(labels, np.uint8))


def _latin1(text: str, encoding: str) -> bytes:
    """Do what pickles of Python 3 call `codecs.encode` for: bytes in an old protocol."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes as {encoding!r}")
    return codecs.encode(text, "latin1")


_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]

#: All that a pickle of arrays calls, as NumPy 1 and 2 and Python 2 and 3 write it.
ADMITTED: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries, lists, texts, numbers and arrays; imports nothing."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Return one of what is admitted."""
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it calls {module}.{name}")
        return ADMITTED[module, name]
