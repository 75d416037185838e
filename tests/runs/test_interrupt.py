"""The first SIGINT raises a flag, the second KeyboardInterrupt, and the old handler returns."""

import os
import signal
import threading

import pytest

from evonas.runs import Interrupt


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_first_and_second():
    before = signal.getsignal(signal.SIGINT)
    said = []
    with pytest.raises(KeyboardInterrupt), Interrupt(lambda: said.append("finishing")) as stop:
        assert not stop()
        press()
        assert stop() and said == ["finishing"]
        press()
    assert said == ["finishing"]
    assert signal.getsignal(signal.SIGINT) is before


def test_set_without_a_signal():
    with Interrupt() as stop:
        stop.set()
        assert stop()


def test_outside_the_main_thread_handlers_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with Interrupt() as stop:
            seen.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False] and signal.getsignal(signal.SIGINT) is before
