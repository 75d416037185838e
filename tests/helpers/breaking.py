"""Runs from the command line that a signal breaks off at a chosen point."""

import signal
from subprocess import CompletedProcess

from processes import run_program

# A command of evonas that gets a signal at a chosen call of a chosen function.
KILLER = """
import os, sys

where, count, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def dying(function, half=None, before=True):
    def call(*arguments, **named):
        global count
        count -= 1
        if count == 0 and half:
            half(*arguments, **named)
        if count == 0 and before:
            os.kill(os.getpid(), number)
        result = function(*arguments, **named)
        if count == 0 and not before:
            os.kill(os.getpid(), number)
        return result
    return call

if where == "step":
    from evonas.training import Trainer
    Trainer.train_step = dying(Trainer.train_step)
elif where in ("trained", "kept"):
    from evonas.training import TrainingStore
    TrainingStore.put = dying(TrainingStore.put, before=where == "trained")
elif where == "forget":
    from evonas.training import TrainingStore
    TrainingStore.forget_weights = dying(TrainingStore.forget_weights)
elif where == "evaluate":
    from evonas.problems import SupernetProblem
    SupernetProblem._score = dying(SupernetProblem._score)
elif where == "rename":
    os.replace = dying(os.replace)
elif where == "journal":
    from evonas.runs import journal
    journal.write_fully = dying(
        journal.write_fully, lambda descriptor, data: os.write(descriptor, data[: len(data) // 2])
    )
else:
    sys.exit(f"no point is called {where!r}")
from evonas.cli import main
sys.exit(main(sys.argv[4:]))
"""


def broken_off(
    where: str, count: int, *arguments: str, by: int = signal.SIGKILL, program: str = KILLER
) -> CompletedProcess:
    """What was left of ``evonas *arguments`` that got a signal at the count-th call of a point."""
    return run_program(program, where, str(count), str(int(by)), *arguments)
