"""Files of a user's own that register spaces, data sets and costs."""

import re
import shlex
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path

from evonas.errors import InputError


@dataclass(frozen=True)
class Plugin:
    """A file that was run for what it registers; never stored: a run folder executes nothing.

    Attributes:
        path: as it was named.
        source: what it said then.
    """

    path: str
    source: str

    @property
    def module(self) -> str:
        """The name under which it is known in this process."""
        return f"evonas_plugin_{re.sub(r'[^A-Za-z0-9]', '_', Path(self.path).stem)}"

    def run_once(self) -> None:
        """Run it, unless it was run in this process: what it registers can be registered once.

        Raises:
            InputError: it raises something.
        """
        if _RAN.get(self.path) != self:
            self.run()

    def run(self) -> None:
        """Run it, in this process.

        Raises:
            InputError: it raises something.
        """
        module = types.ModuleType(self.module)
        module.__file__ = self.path
        try:
            sys.modules[self.module] = module  # dataclasses look their module up
            exec(compile(self.source, self.path, "exec"), module.__dict__)
        except InputError:
            raise
        except (Exception, SystemExit) as error:
            raise _cannot_run(self.path, error) from error
        _RAN[self.path] = self


_RAN: dict[str, Plugin] = {}


def run_plugin(path: str) -> None:
    """Run a file.

    Raises:
        InputError: it cannot be read, or raises something.
    """
    try:
        source = decode_source(Path(path).read_bytes())
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise _cannot_run(path, error) from error
    Plugin(path, source).run()


def plugins() -> tuple[Plugin, ...]:
    """Those that were run in this process, in order: what another one needs to know the same."""
    return tuple(_RAN.values())


def options_of(paths: Iterable[str]) -> str:
    """The words of a command that run files again, each with a space before; "" for none."""
    return "".join(f" --plugin {shlex.quote(path)}" for path in paths)


def _cannot_run(path: str, error: BaseException) -> InputError:
    return InputError(
        f"the plugin {path} cannot be run ({type(error).__name__}: {error}); correct it"
    )
