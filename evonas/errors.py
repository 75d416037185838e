"""Errors that a user can act on: one line that says what is wrong and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line and names the remedy.

    The command line prints it without a traceback and exits with 2.
    """


class EvaluationStopped(Exception):
    """An evaluation was asked to stop, and did; what it had finished is kept."""


def unknown(kind: str, name: str, names: Iterable[str]) -> InputError:
    """The error for a name that is in no registry, with the nearest names first."""
    known = sorted(names)
    near = get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of: {', '.join(known)}"
    return InputError(f"unknown {kind} '{name}'; {hint}")
