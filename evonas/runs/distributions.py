"""What distributions learnt while weights were trained, as a file of the run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evonas.atomic import write_json_atomic
from evonas.errors import InputError
from evonas.runs.folder import RunFolder


@dataclass(frozen=True, eq=False)
class JointDistributions:
    """Distributions as a joint training left them.

    Attributes:
        probabilities: what was learnt, (M, n_var, max choices).
        coefficients: what each traded off by at the end, (M,) or (M, n_obj), for the loss in nats.
        moments: (training steps done, probabilities then), in order.
    """

    probabilities: np.ndarray
    coefficients: np.ndarray | None
    moments: Sequence[tuple[int, np.ndarray]]

    def write(self, folder: RunFolder) -> None:
        """Write the file, atomically.

        Raises:
            InputError: the disk is full.
        """
        given = self.coefficients
        write_json_atomic(
            folder.distributions,
            {
                "probabilities": self.probabilities.tolist(),
                "coefficients": None if given is None else given.tolist(),
                "moments": [[step, p.tolist()] for step, p in self.moments],
            },
        )

    @classmethod
    def load(cls, folder: RunFolder) -> "JointDistributions":
        """Read the file.

        Raises:
            InputError: it is missing or broken.
        """
        path = folder.require(folder.distributions)
        try:
            values = dict(json.loads(path.read_text(encoding="utf-8")))
            given = values["coefficients"]
            return cls(
                np.array(values["probabilities"], dtype=float),
                None if given is None else np.array(given, dtype=float),
                [(int(step), np.array(p, dtype=float)) for step, p in values["moments"]],
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path} is broken ({error}); delete it and resume the run to write it again"
            ) from None
