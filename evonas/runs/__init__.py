"""One run on disk: folder, journal, lock, stages, progress, status. Knows no particular stage."""

from evonas.runs.distributions import JointDistributions
from evonas.runs.driver import GenerationReport, Outcome, drive
from evonas.runs.estimates import supernet_of
from evonas.runs.folder import RunFolder
from evonas.runs.interrupt import Interrupt
from evonas.runs.journal import Journal, read_lines
from evonas.runs.lock import is_locked, locked
from evonas.runs.progress import Progress, Step, open_progress
from evonas.runs.records import Result, Search, distinct_results, read_searches, searches_of
from evonas.runs.space import space_of
from evonas.runs.stage import Context, Stage, StagesOutcome, run_stages
from evonas.runs.status import RunStatus, StageStatus, read_status
from evonas.runs.watch import watch

__all__ = [
    "Context",
    "GenerationReport",
    "Interrupt",
    "JointDistributions",
    "Journal",
    "Outcome",
    "Progress",
    "Result",
    "RunFolder",
    "RunStatus",
    "Search",
    "Stage",
    "StageStatus",
    "StagesOutcome",
    "Step",
    "distinct_results",
    "drive",
    "is_locked",
    "locked",
    "open_progress",
    "read_lines",
    "read_searches",
    "read_status",
    "run_stages",
    "searches_of",
    "space_of",
    "supernet_of",
    "watch",
]
