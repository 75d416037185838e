"""The stage that writes the page of a run, after everything else."""

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
        write_report(context.folder, state="finished")


def _shown(run: RunFolder) -> list[Path]:
    """Files that the page is made of."""
    return [path for path in (run.config, *run.path.glob("*.csv")) if path.is_file()]
