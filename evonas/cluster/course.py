"""What the machine of the run knows of a training elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from evonas.cluster.desk import open_desk
from evonas.cluster.said import in_a_line
from evonas.errors import InputError

if TYPE_CHECKING:
    from evonas.training import Trainer


class Course:
    """The course of a training, as its `Desk` tells it; a context that ends with the desk.

    Args:
        trainer: one that has not begun, of the same training.
        stop: asked at each look.
        on_step: told how many steps more have been done, and the latest loss.

    Attributes:
        desk: the actor.
        step: steps done at the latest state.
        state: that state, a checkpoint as bytes.
        steps: in all.
        stopped: whether workers have been told to stop.
    """

    def __init__(
        self,
        trainer: Trainer,
        *,
        stop: Callable[[], bool],
        on_step: Callable[[int, float], None] | None,
    ) -> None:
        """Open the desk, with the state to begin with on it."""
        self.step, self.steps = trainer.step, trainer.steps
        self.state = trainer.state().to_bytes()
        self.stopped = False
        self._told = trainer.step
        self._path, self._stop, self._on_step = trainer.checkpoint, stop, on_step
        self.desk = open_desk(self.step, self.state)

    def __enter__(self) -> Self:
        """The course itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Workers that are left, after an error here, end with their desk."""
        import ray

        ray.kill(self.desk)

    def stop(self) -> bool:
        """Ask whether to stop."""
        self.stopped = self.stopped or self._stop()
        return self.stopped

    def look(self) -> None:
        """Take what is new: the state to the file, and progress to the caller.

        Raises:
            InputError: the file cannot be written.
        """
        import ray

        from evonas.training import Checkpoint

        try:
            news = ray.get(self.desk.news.remote(self.step, self.stop()))
        except ray.exceptions.RayError as error:
            raise InputError(
                f"the cluster was lost at step {self.step} of {self.steps} ({in_a_line(error)}); "
                "go on with --resume"
            ) from None
        if news.state is not None:
            self.step, self.state = news.kept, news.state
            if self._path:
                Checkpoint.from_bytes(news.state).save(self._path)
        if news.step > self._told:
            if self._on_step:
                self._on_step(news.step - self._told, news.loss)
            self._told = news.step
