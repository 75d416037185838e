"""Files of a user's own, and what another process needs to know the same."""

import pickle
import sys

import pytest

from evonas.errors import InputError
from evonas.plugins import Plugin, plugins, run_plugin


def test_what_was_run_can_be_run_where_the_file_is_not(tmp_path):
    file = tmp_path / "my things.py"
    file.write_text("class Mine:\n    number = 7\n")
    run_plugin(str(file))
    (ran,) = plugins()
    assert ran == Plugin(str(file), file.read_text()) and ran.module == "evonas_plugin_my_things"
    stored = pickle.dumps(sys.modules[ran.module].Mine())
    file.unlink()
    del sys.modules[ran.module]
    pickle.loads(pickle.dumps(ran)).run()
    assert pickle.loads(stored).number == 7


def test_what_cannot_be_run_is_one_line_and_not_remembered(tmp_path):
    with pytest.raises(InputError, match="cannot be run .FileNotFoundError"):
        run_plugin(str(tmp_path / "nowhere.py"))
    with pytest.raises(InputError, match="cannot be run .SyntaxError"):
        Plugin("a.py", "def").run()
    assert plugins() == ()
