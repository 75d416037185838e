"""The folder of one run: its name, its members, and what to say when something is missing."""

import re
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from evonas.atomic import cannot_write
from evonas.errors import InputError


@dataclass(frozen=True)
class RunFolder:
    """One run on disk; everything in it can be read without evonas.

    Attributes:
        path: the folder. Use `create` for a new run and `open` for an existing one; the
            constructor checks nothing.
    """

    path: Path

    def __post_init__(self) -> None:
        """Take a string for the path as well."""
        object.__setattr__(self, "path", Path(self.path))

    def __fspath__(self) -> str:
        """Wherever a path is taken, the folder is."""
        return str(self.path)

    @classmethod
    def create(
        cls, parent: Path | str, problem: str, *, now: datetime | None = None
    ) -> "RunFolder":
        """Make a new folder `<problem>-YYYYmmdd-HHMMSS` in `parent`, with `-2`, ... if taken.

        Args:
            parent: the folder of runs; made if it is missing.
            problem: name of the problem; what a file name cannot hold becomes `-`.
            now: the time in the name; local time if None.

        Raises:
            InputError: `parent` cannot be written.
        """
        stem = re.sub(r"[^A-Za-z0-9._+-]+", "-", problem).strip("-.") or "run"
        stem = f"{stem}-{now or datetime.now():%Y%m%d-%H%M%S}"
        parent = Path(parent).expanduser()
        number = 1
        while True:
            path = parent / (stem if number == 1 else f"{stem}-{number}")
            try:
                parent.mkdir(parents=True, exist_ok=True)
                # mkdir either makes the folder or fails: two runs never share a name.
                path.mkdir()
            except FileExistsError as error:
                if not parent.is_dir():
                    raise InputError(
                        f"{parent} is a file, not a folder of runs; choose another folder"
                    ) from error
                number += 1
            except OSError as error:
                raise cannot_write(path, error) from error
            else:
                return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """An existing run.

        Raises:
            InputError: there is no such folder, or it is no run (neither `config.json` nor
                `journal.jsonl` in it).
        """
        path = Path(path).expanduser()
        if not path.exists():
            raise InputError(f"there is no run folder {path}; check the path or start a new run")
        if not path.is_dir():
            raise InputError(f"{path} is a file, not a run folder; give the folder that holds it")
        folder = cls(path)
        if not folder.config.is_file() and not folder.journal.is_file():
            inside = [child for child in _children(path) if (child / "config.json").is_file()]
            hint = (
                f"give one of the runs in it, for example {max(inside)}"
                if inside
                else "give a folder that `python -m evonas.run` made"
            )
            raise InputError(f"{path} is no run folder (no config.json in it); {hint}")
        return folder

    def require(self, member: Path) -> Path:
        """`member` itself if it exists.

        Raises:
            InputError: the run has not come that far; names the command that goes on.
        """
        if not member.exists():
            raise InputError(
                f"{self.path} has no {member.relative_to(self.path)} yet: the run is not "
                f"finished; go on with: {self.resume_command}"
            )
        return member

    def sweep(self) -> None:
        """Remove what a killed process left half written; call it while holding the lock."""
        for path in self.path.rglob(".*"):
            if path.is_file() and path != self.lock:
                path.unlink(missing_ok=True)

    @property
    def resume_command(self) -> str:
        """The shell command that goes on with this run."""
        return f"python -m evonas.run --resume {shlex.quote(str(self.path))}"

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def config(self) -> Path:
        """`config.json`: the resolved settings."""
        return self.path / "config.json"

    @property
    def journal(self) -> Path:
        """`journal.jsonl`: a line per ask and per result; the checkpoint of the search."""
        return self.path / "journal.jsonl"

    @property
    def stages(self) -> Path:
        """`stages.json`: state and seconds of each stage, for people and for `status`."""
        return self.path / "stages.json"

    @property
    def supernet(self) -> Path:
        """`supernet/`: weights and training state."""
        return self.path / "supernet"

    @property
    def front(self) -> Path:
        """`front.csv`."""
        return self.path / "front.csv"

    @property
    def history(self) -> Path:
        """`history.csv`."""
        return self.path / "history.csv"

    @property
    def distributions(self) -> Path:
        """`supernet/distributions.json`: what distributions learnt while weights were trained."""
        return self.supernet / "distributions.json"

    @property
    def joint(self) -> Path:
        """`joint.csv`: the steps of distributions that learnt while weights were trained."""
        return self.path / "joint.csv"

    @property
    def architectures(self) -> Path:
        """`architectures.csv`: what each distribution of a multi-distribution search ends at."""
        return self.path / "architectures.csv"

    @property
    def saliency(self) -> Path:
        """`saliency.csv`."""
        return self.path / "saliency.csv"

    @property
    def pruning(self) -> Path:
        """`pruning.csv`."""
        return self.path / "pruning.csv"

    @property
    def fidelity(self) -> Path:
        """`fidelity.csv`: estimated errors of a sample of networks beside true ones."""
        return self.path / "fidelity.csv"

    @property
    def fidelity_before(self) -> Path:
        """`fidelity-before.csv`: the table before, until another measurement is there."""
        return self.path / "fidelity-before.csv"

    @property
    def trainings(self) -> Path:
        """`trainings/`: weights and record of each network trained from scratch."""
        return self.path / "trainings"

    @property
    def decisions(self) -> Path:
        """`decisions.csv`: what a true-rank search made of each candidate."""
        return self.path / "decisions.csv"

    @property
    def networks(self) -> Path:
        """`networks/`: retrained members of the front."""
        return self.path / "networks"

    @property
    def retrained(self) -> Path:
        """`retrained.csv`: true errors of retrained members beside the estimated ones."""
        return self.path / "retrained.csv"

    @property
    def figures(self) -> Path:
        """`figures/`: drawn from the CSVs."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """`report.html`."""
        return self.path / "report.html"

    @property
    def log(self) -> Path:
        """`log.txt`."""
        return self.path / "log.txt"

    @property
    def lock(self) -> Path:
        """`.lock`: held by the process that writes this run."""
        return self.path / ".lock"


def _children(path: Path) -> list[Path]:
    return [child for child in path.iterdir() if child.is_dir()]
