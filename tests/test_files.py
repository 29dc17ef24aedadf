import hashlib
import os
import re

import pytest

from optlab.files import DamagedFileError, content_of, digest_of, file_digest

TEXT = b"the cat sat on the mat"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(TEXT)
    return path


def test_a_file_is_its_bytes_and_known_by_the_first_digits_of_their_sha_256(path):
    assert content_of(path) == TEXT
    assert file_digest(path) == digest_of(TEXT) == hashlib.sha256(TEXT).hexdigest()[:12]


def test_a_file_that_changes_changes_its_digest(path):
    assert file_digest(path) == digest_of(TEXT)
    path.write_bytes(TEXT[::-1])
    assert file_digest(path) == digest_of(TEXT[::-1])


def test_a_file_has_so_many_bytes_at_most(path):
    assert content_of(path, most=len(TEXT)) == TEXT
    with pytest.raises(DamagedFileError, match="it has 22 bytes, and 21 are the most"):
        content_of(path, most=21)


def test_what_is_no_file_is_said_so_and_has_no_digest(tmp_path):
    with pytest.raises(DamagedFileError, match="it is a folder"):
        content_of(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DamagedFileError, match=re.escape("it is no regular file")):
        content_of(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        content_of(tmp_path / "nowhere")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nowhere", tmp_path / "a\0b"):
        assert file_digest(path) is None
