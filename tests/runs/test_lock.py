"""Two processes never write one run; a dead one holds nothing."""

import subprocess
import sys

import pytest

from evonas.errors import InputError
from evonas.runs import RunFolder, is_locked, locked

HOLD = """
import sys, time
from evonas.runs import RunFolder, locked
with locked(RunFolder(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    folder = RunFolder(tmp_path)
    assert not is_locked(folder)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            assert is_locked(folder)
            with pytest.raises(InputError, match=f"{tmp_path} is in use"), locked(folder):
                pass
        finally:
            process.kill()
            process.wait()
    assert not is_locked(folder)
    with locked(folder):
        assert is_locked(folder)


def test_nested_in_one_process_is_refused_too(tmp_path):
    folder = RunFolder(tmp_path)
    with locked(folder):
        with pytest.raises(InputError, match="in use"), locked(folder):
            pass
        assert is_locked(folder)
    with pytest.raises(RuntimeError), locked(folder):
        raise RuntimeError
    with locked(folder):
        pass


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(InputError), locked(RunFolder(tmp_path / "file" / "run")):
        pass
