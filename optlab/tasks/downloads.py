"""Fetching published files: one process at a time, by their checksums, without endless waits."""

import socket
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

#: Silence of a server after which a download is given up.
TIMEOUT_S = 15.0

#: What comes of an address that does not answer, or answers with something else.
FAILURES = (
    RuntimeError, OSError, HTTPException, ValueError, LookupError, EOFError, zlib.error,
    tarfile.TarError,
)  # fmt: skip


def fetch_file(addresses: Sequence[str], folder: Path, md5: str) -> None:
    """Download a file from the first address that has it, unless it is there with this MD5 sum.

    Raises:
        RuntimeError: When no address has it, with what each of them answered.
    """
    from torchvision.datasets.utils import download_url

    reasons = []
    for address in addresses:
        try:
            with _timeout(TIMEOUT_S):
                download_url(address, folder, md5=md5)
            return
        except (RuntimeError, OSError) as error:
            reasons.append(f"{address}: {error}")
    raise RuntimeError("; ".join(reasons))


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time download; the runs of a sweep may start together."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Bound every wait for a server: torchvision sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
