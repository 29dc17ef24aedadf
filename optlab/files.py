"""Files that others wrote: read whole, and known by what they hold."""

import functools
import hashlib
import os
from pathlib import Path

#: Digits of a digest: as many as an identity has (`optlab.identity.config_hash`).
DIGITS = 12


class DamagedFileError(ValueError):
    """A file does not hold what it should. The message says what of it is wrong, as in "it ..."."""


def content_of(path: Path, most: int | None = None) -> bytes:
    """Return what a regular file holds; a pipe would keep a reader waiting.

    Args:
        path: The file.
        most: Bytes that it may have; None stands for any number.

    Raises:
        OSError: When it cannot be read.
        DamagedFileError: When it is larger, or something else than a file.
    """
    if path.is_dir():
        raise DamagedFileError("it is a folder")
    if path.exists() and not path.is_file():
        raise DamagedFileError("it is no regular file")
    if most is not None and path.stat().st_size > most:
        raise DamagedFileError(f"it has {path.stat().st_size:,} bytes, and {most:,} are the most")
    return path.read_bytes()


def digest_of(content: bytes) -> str:
    """Return 12 hexadecimal digits of the content's SHA-256."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def file_digest(path: Path) -> str | None:
    """Return the digest of a file, or None where there is none to be read.

    Of a file that did not change since, it is remembered: every run of a sweep may ask.
    """
    try:
        state = path.stat()
        if not path.is_file():
            return None
        return _digest(os.fspath(path.absolute()), state.st_mtime_ns, state.st_size, state.st_ino)
    except (OSError, ValueError):
        return None


@functools.lru_cache
def _digest(path: str, *state: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
