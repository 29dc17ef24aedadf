"""The first signal asks for an end, the second one is the end."""

import os
import signal
import threading

import pytest

from optlab.stopping import Terminated, listening


def test_a_signal_is_heard_and_answered_when_the_work_allows(capfd):
    with listening() as stop:
        assert not stop.is_asked
        stop.end_if_asked()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_asked
        with pytest.raises(KeyboardInterrupt, match="by hand"):
            stop.end_if_asked()
    assert "stopping after this update" in capfd.readouterr().err


def test_sigterm_is_told_apart():
    with listening() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Terminated, match="SIGTERM"):
            stop.end_if_asked()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(first):
    with listening():
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_who_listened_before_listens_again():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with listening():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_a_thread_nothing_is_heard():
    seen = []

    def work():
        with listening() as stop:
            seen.append(stop.is_asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
