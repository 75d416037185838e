"""The stage that writes the page of a run, after everything else."""

import os
from dataclasses import dataclass
from pathlib import Path

from evonas.analysis import write_report
from evonas.runs import Context, RunFolder


@dataclass(frozen=True)
class WriteReport:
    """`report.html`, from all that the other stages left."""

    name: str = "report"

    def done(self, run: RunFolder) -> bool:
        """Whether the page is there and younger than what it shows."""
        if not run.report.is_file():
            return False
        written = run.report.stat().st_mtime_ns
        return all(path.stat().st_mtime_ns <= written for path in _shown(run))

    def run(self, context: Context) -> None:
        """Write it."""
        page = write_report(context.folder, state="finished")
        # Files of a machine whose clock is ahead come from the future.
        newest = max(path.stat().st_mtime_ns for path in (page, *_shown(context.folder)))
        os.utime(page, ns=(newest, newest))


def _shown(run: RunFolder) -> list[Path]:
    """Files that the page is made of."""
    return [path for path in (run.config, *run.path.glob("*.csv")) if path.is_file()]
