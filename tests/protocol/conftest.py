"""A folder in which a small protocol was followed, and folders to follow one in."""

import shutil

import pytest

from tests.protocol.following import LINE, own_protocol, sweep


@pytest.fixture(scope="session")
def followed(tmp_path_factory):
    """Return a folder in which a small protocol was followed, in ``out``."""
    folder = tmp_path_factory.mktemp("followed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        own_protocol(folder)
        assert sweep(*LINE) == 0
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder to follow a protocol in, without a report at its end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("optlab.commands._rank", lambda folder: None)
    own_protocol(tmp_path)
    return tmp_path


@pytest.fixture
def copied(followed, folder):
    """Return a copy of it that a test may change."""
    shutil.copytree(followed / "out", folder / "out")
    return folder
