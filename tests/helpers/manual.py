"""What the README and the pages of docs/ tell users to type."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# What the rows of the table of options are added to.
MAIN_JOB = "python -m evonas.run --problem cifar10-params"

_PROGRAM = re.compile(r"python -m evonas\.run( |$)|evonas [a-z]")
_OTHER = re.compile(r"make |source |pip install |benchmarks/|python benchmarks/|ray |kubectl ")


def python_blocks(page: Path) -> list[str]:
    """The fenced blocks of Python of a page, in order."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page: Path) -> list[str]:
    """The commands of evonas on a page, in order: lines, spans, and rows of the table of options.

    Raises:
        AssertionError: an indented line is neither a command nor the listing of a run folder.
    """
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = []
    listing = False
    for line in text.splitlines():
        if line.startswith("    "):
            command = line.strip().partition("  #")[0].strip()
            listing = listing or command.startswith("runs/")
            assert listing or _PROGRAM.match(command) or _OTHER.match(command), line
            found += [command] if _PROGRAM.match(command) else []
            continue
        listing = False
        spans = re.findall(r"`([^`]+)`", line)
        found += [span for span in spans if _PROGRAM.match(span)]
        if line.startswith("| ") and line.count("|") == 3:
            found += [_full(span) for span in spans if span.startswith("--")]
    return list(dict.fromkeys(found))


def options(page: Path) -> set[str]:
    """Every option of evonas that is named on a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    spans = [span for span in re.findall(r"`([^`]+)`", text) if not _OTHER.match(span)]
    lines = [line for line in text.splitlines() if _PROGRAM.match(line.strip())]
    return set(re.findall(r"(?<!\S)--[a-z][a-z0-9.-]*[a-z0-9]", "\n".join([*spans, *lines])))


def _full(options: str) -> str:
    """A row of the table: what goes on with a run, or repeats it, needs nothing else."""
    alone = options.startswith(("--resume", "--config"))
    return f"{'python -m evonas.run' if alone else MAIN_JOB} {options}"
