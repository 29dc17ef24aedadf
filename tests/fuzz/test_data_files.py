"""Readers of data files: of any bytes they make the arrays that are in them, or one error."""

import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import strategies as st

from optlab.config import ConfigError
from optlab.files import DamagedFileError
from optlab.tasks.image_files import ADMITTED, cifar_batch, idx_images, idx_labels
from optlab.tasks.text import Characters
from tests.fuzz.mutations import CHANGES, mutated
from tests.tasks.image_sets import cifar_files, idx_files

FILES = idx_files()
IMAGES, LABELS = FILES["t10k-images-idx3-ubyte"], FILES["t10k-labels-idx1-ubyte"]
BATCH = cifar_files()["data_batch_1"]


def header(shape: tuple[int, ...]) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)


@pytest.mark.parametrize(("whole", "read"), [(IMAGES, idx_images), (LABELS, idx_labels)])
def test_an_idx_file_is_its_arrays_or_damaged(every, whole, read):
    @every(quick=300, long=10_000, changes=CHANGES)
    def check(changes):
        content = mutated(whole, changes)
        try:
            found = read(content)
        except DamagedFileError:
            return
        assert header(found.shape) + found.tobytes() == content


@pytest.mark.parametrize("read", [idx_images, idx_labels])
def test_any_header_is_an_array_or_damaged(every, read):
    @every(quick=200, long=20_000, start=st.binary(max_size=20), rows=st.integers(0, 3))
    def check(start, rows):
        content = b"\x00\x00\x08" + start + bytes(784 * rows)
        try:
            found = read(content)
        except DamagedFileError:
            return
        assert header(found.shape) + found.tobytes() == content


def test_a_batch_of_cifar_is_read_with_its_checksum_alone(every):
    md5 = hashlib.md5(BATCH).hexdigest()
    x, y = cifar_batch(BATCH, md5)

    @every(quick=200, long=10_000, changes=CHANGES)
    def check(changes):
        content = mutated(BATCH, changes)
        try:
            found = cifar_batch(content, md5)
        except DamagedFileError:
            assert content != BATCH
            return
        assert content == BATCH
        assert np.array_equal(found[0], x)
        assert np.array_equal(found[1], y)


NAMES = st.sampled_from([*ADMITTED, ("os", "system"), ("builtins", "eval"), ("numpy", "load")])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


class Call:
    """A pickle that calls a function by name."""

    def __init__(self, module: str, name: str, arguments: tuple) -> None:
        self.module, self.name, self.arguments = module, name, arguments

    def dumps(self) -> bytes:
        arguments = pickle.dumps(self.arguments, protocol=2)[2:-1]
        return f"c{self.module}\n{self.name}\n".encode() + arguments + b"R."


def test_with_the_right_checksum_a_pickle_is_arrays_or_damaged(every):
    @every(
        quick=200, long=5_000, value=VALUES, called=NAMES, arguments=st.lists(VALUES, max_size=3)
    )
    def check(value, called, arguments):
        batch = {"data": value, "labels": value}
        for content in (
            pickle.dumps(value),
            pickle.dumps(batch, protocol=2),
            Call(*called, tuple(arguments)).dumps(),
        ):
            with pytest.raises(DamagedFileError):
                cifar_batch(content, hashlib.md5(content).hexdigest())


def test_any_bytes_are_a_text_or_one_sentence(every, tmp_path):
    path = tmp_path / "text"
    whole = "Übung macht den Meister.\r\n".encode() * 20

    @every(quick=200, long=10_000, changes=CHANGES)
    def check(changes):
        path.write_bytes(mutated(whole, changes))
        try:
            data = Characters(path=str(path), length=8).load()
        except ConfigError:
            return
        assert int(data.train.x.max()) < data.vocabulary
