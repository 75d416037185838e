"""Programs in processes of their own, which find the slow imports done.

A process that only starts and imports what a run needs takes several seconds on a small
machine; these are forked from a server that has imported it and computed nothing.
"""

import multiprocessing
import os
import subprocess
import tempfile
from pathlib import Path

IMPORTED = ["evonas.run", "sklearn.datasets", "torch._dynamo", "scipy.stats"]

_BEGIN = """
import os, sys
for descriptor, path in enumerate(outputs, 1):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
os.chdir(folder)
sys.argv = ["-c", *arguments]
exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
"""

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(IMPORTED)


def run_program(
    program: str, *arguments: str, cwd: Path | str | None = None, timeout: float = 300
) -> subprocess.CompletedProcess:
    """What ``python -c program *arguments`` did in a folder: its return code, and its output."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [str(Path(folder) / name) for name in ("stdout", "stderr")]
        names = {
            "program": program, "arguments": arguments, "outputs": outputs,
            "folder": os.fspath(cwd or os.getcwd()),
        }  # fmt: skip
        process = _CONTEXT.Process(target=exec, args=(_BEGIN, names), daemon=True)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(program, timeout)
        texts = [Path(path).read_text(encoding="utf-8") for path in outputs]
    return subprocess.CompletedProcess([program, *arguments], process.exitcode, *texts)
