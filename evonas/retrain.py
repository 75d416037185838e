"""Members of a front trained alone: their true errors, on validation and on test images.

The one place that opens the test images: at the end, once for each network that was trained. The
figure is stored beside its weights, in one file, and never computed again. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.analysis import Front
from evonas.analysis.quantities import plural
from evonas.analysis.retrained import RetrainedNetworks
from evonas.atomic import file_stem, make_folder
from evonas.config import FINE_TUNE, RECIPE
from evonas.errors import InputError
from evonas.problems import ArchitectureProblem, ScratchProblem
from evonas.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor

    from evonas.data import Images
    from evonas.supernet import Supernet
    from evonas.training import Training

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Retrained:
    """One network that was trained alone, by one seed.

    Attributes:
        network: canonical, in the notation of its space.
        method: how it was trained, in words.
        settings: equal for trainings that differ in their seed only.
        seed: of first weights and order of images.
        epochs: that it was trained for.
        error: misclassified validation images, in percent.
        test_error: misclassified test images, in percent.
        test_images: how many there are.
        seconds: of the training.
    """

    network: str
    method: str
    settings: str
    seed: int
    epochs: int
    error: float
    test_error: float
    test_images: int
    seconds: float


def pick(front: Front, members: int, networks: Sequence[str], space: SearchSpace) -> list[str]:
    """What to retrain: named networks, or members from all over the front.

    Args:
        front: of the run.
        members: how many of it, where none is named.
        networks: texts.
        space: the base space of the run.

    Returns:
        Canonical texts, each once.

    Raises:
        InputError: the front is empty, or a text is no network of the space.
    """
    if not networks:
        if not len(front):
            raise InputError(
                "the front of the run is empty; loosen its constraints and search again"
            )
        return list(front.spread(members).networks)
    X = space.canonical(np.stack([space.encode(text) for text in networks]))
    return list(dict.fromkeys(space.decode(x) for x in X))


def retrain(
    problem: ScratchProblem,
    networks: Sequence[str],
    folder: Path,
    *,
    data_dir: str | Path | None = None,
    on_network: Callable[[Retrained], None] | None = None,
) -> list[Retrained]:
    """Train networks alone and measure each once on the test images.

    What is there already is neither trained nor measured again. The problem keeps the weights of
    those trainings only whose weights it had before.

    Args:
        problem: says how networks are trained, and on what.
        networks: canonical texts.
        folder: where each is kept: weights, and what they reached.
        data_dir: folder of the data set, for its test images.
        on_network: told of each that is finished.

    Returns:
        A record for each network and seed, in order, without those whose training diverged or
        failed.

    Raises:
        EvaluationStopped: `problem.stop` said so; what is finished is kept.
        InputError: a text is no network, or the data is not what the search saw.
    """
    files = files_of(problem, networks, folder)
    missing = [pair for pair, file in files.items() if not file.is_file()]
    if missing:
        make_folder(folder)  # before anything is trained
        before = {pair for pair in missing if problem.has_weights(*pair)}  # of the search itself
        test = _Sealed(problem, data_dir)

        def keep(training: Training) -> None:
            pair = training.network, training.seed
            if training.lost:
                return
            done = _measured(problem, training, test)
            _write(files[pair], done, problem.weights(*pair))
            if pair not in before:
                problem.forget(*pair)
            if on_network is not None:
                on_network(done)

        told, problem.on_training = problem.on_training, keep
        try:
            for pair in before:
                keep(problem.record(*pair))
            X = np.stack([problem.space.encode(network) for network, _ in missing])
            problem.train(X, [seed for _, seed in missing])
        finally:
            problem.on_training = told
    return [read_retrained(file) for file in files.values() if file.is_file()]


def files_of(
    problem: ScratchProblem, networks: Sequence[str], folder: Path
) -> dict[tuple[str, int], Path]:
    """Where each network and seed is kept when it was retrained; arguments as of `retrain`."""
    return {
        (network, seed): folder / f"{problem.key(network, seed)}{SUFFIX}"
        for network in networks
        for seed in problem.seeds
    }


class _Sealed:
    """Test images that are opened when the first trained network is there, and not before."""

    def __init__(self, problem: ScratchProblem, data_dir: str | Path | None) -> None:
        self._data, self._data_dir = problem.data, data_dir
        self._images: Images | None = None

    def open(self) -> Images:
        if self._images is None:
            from evonas.data.sealed import open_test

            self._images = open_test(self._data, data_dir=self._data_dir)
        return self._images


def _measured(problem: ScratchProblem, training: Training, test: _Sealed) -> Retrained:
    from evonas.training import evaluate_network

    network = problem.network(problem.space.encode(training.network), seed=training.seed)
    images = test.open()
    error, _ = evaluate_network(network, images)
    return Retrained(
        training.network,
        method_of(problem),
        problem.key(training.network, problem.seed),
        training.seed,
        training.epochs,
        training.error,
        error,
        len(images),
        training.seconds,
    )


def method_of(problem: ScratchProblem) -> str:
    """How networks are trained, in words: epochs, and settings that are not the recipe's."""
    from evonas.training.recipes import NO_MATTER

    config, usual = problem.config, problem.usual
    tuned = config.recipe == FINE_TUNE
    words = ["fine-tuned from the supernet" if tuned else "trained from scratch"]
    words += ["for", plural(config.epochs or 0, "epoch")]
    if config.recipe not in (RECIPE, FINE_TUNE):
        words.append(f"by the recipe {config.recipe}")
    changed = [
        f"{f.name.replace('_', ' ')} {getattr(config, f.name)}"
        for f in fields(config)
        if f.name not in (*NO_MATTER, "epochs", "recipe")
        and getattr(config, f.name) != getattr(usual, f.name)
    ]
    return ", ".join([" ".join(words), *changed])


def _write(file: Path, done: Retrained, weights: dict[str, Tensor] | None) -> None:
    from evonas.training import Checkpoint

    assert weights is not None
    Checkpoint(weights, {"retrained": asdict(done)}).save(file)


def read_retrained(file: Path) -> Retrained:
    """What `retrain` wrote of one network, without its weights.

    Raises:
        InputError: the file is missing or torn.
    """
    from evonas.training import Checkpoint

    return Retrained(**Checkpoint.load(file, tensors=False).values["retrained"])


def all_retrained(folder: Path, network: str = "") -> dict[Path, Retrained]:
    """Everything that was retrained in a run, by file.

    Args:
        folder: of the files.
        network: leave files out whose name says that they are of another network.
    """
    # As `training_key` names them.
    begins = f"{file_stem(network)}-e*-s*-" if network else ""
    files = sorted(folder.glob(f"{begins}*{SUFFIX}"))
    return {file: read_retrained(file) for file in files}


def summarised(
    records: Sequence[Retrained],
    known: Mapping[str, float],
    problem: ArchitectureProblem,
    name: str = "",
) -> RetrainedNetworks:
    """A row for each network and settings of its training, means over its seeds.

    Args:
        records: in any order.
        known: estimated errors by network, as far as there are any.
        problem: tells the costs.
        name: of the run.
    """
    groups: dict[str, list[Retrained]] = {}
    for record in records:
        groups.setdefault(record.settings, []).append(record)
    rows: list[tuple[Any, ...]] = []
    costs: tuple[str, ...] = ()
    for several in groups.values():
        network, method = several[0].network, several[0].method
        costs, values = problem.cost_columns(problem.space.encode(network)[None])
        rows.append(
            (
                network,
                method,
                float(np.mean([r.error for r in several])),
                float(np.mean([r.test_error for r in several])),
                known.get(network, np.nan),
                several[0].epochs,
                len(several),
                *values[0].tolist(),
            )
        )
    rows.sort(key=lambda row: (row[7], row[2], row[0]))
    return RetrainedNetworks(
        tuple(row[0] for row in rows),
        tuple(row[1] for row in rows),
        ("error", "test_error", "estimated_error", "epochs", "seeds", *costs),
        np.array([row[2:] for row in rows], dtype=float),
        name,
        ("error", *(cost for cost in costs if cost in problem.objectives)),
    )


def weights_of(supernet: Supernet) -> tuple[Callable[[np.ndarray], dict[str, Tensor]], str]:
    """Where a fine-tuning begins: the shared weights of a genome, and what they are.

    Raises:
        InputError: the width is not 1.
    """
    import hashlib

    if supernet.width != 1:
        raise InputError(
            f"the shared weights have width {supernet.width:g} and fit no network of the space; "
            "leave --scratch.recipe fine-tune out, or train a supernet with --width 1"
        )
    digest = hashlib.sha256()
    for value in supernet.network.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())

    def begin(x: np.ndarray) -> dict[str, Tensor]:
        return dict(supernet.extract(x).state_dict())

    return begin, digest.hexdigest()[:16]
