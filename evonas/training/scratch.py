"""Stand-alone networks: trained from scratch or on from given weights, several at once."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evonas.config import ScratchConfig
from evonas.data import Images, SearchData
from evonas.training.initial import initialise
from evonas.training.recipes import augmentation_of, recipe_of, training_of
from evonas.training.trainer import Trainer, TrainingDiverged, mixed_precision

T = TypeVar("T")

# A batch of an evaluation in which each image counts by itself.
EVALUATION_BATCH = 512
# So many training images tell how well a network fits them.
FITTED_IMAGES = 2000
# A training that takes less is made anew after a crash.
CHECKPOINT_SECONDS = 20.0
# Streams that torch has for each device.
MOST_STREAMS = 32

# Networks are built from torch's one default generator of the process.
_BUILDING = threading.Lock()


@dataclass(frozen=True)
class Trained:
    """A trained stand-alone network.

    Attributes:
        error: misclassified validation images of the last epoch, in percent.
        loss: their mean cross-entropy in nats.
        training_accuracy: training images told right in the end, not augmented, in percent; of the
            first 2,000 of them.
        seconds: that the training took, parts before a resumption not counted.
        weights: its state, on the CPU.
    """

    error: float
    loss: float
    training_accuracy: float
    seconds: float
    weights: Mapping[str, Tensor]


def new_network(
    build: Callable[[], nn.Module],
    device: torch.device,
    *,
    seed: int = 0,
    weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """A stand-alone network on a device.

    Args:
        build: makes it, such as ``lambda: space.build(x)``.
        device: where it will live.
        seed: of its first weights; nothing global is touched.
        weights: a state to begin with instead.
    """
    with _BUILDING, torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that reseeds accelerators too, for good.
        torch.default_generator.manual_seed(seed)
        network = build()
        initialise(network)
    if weights is not None:
        network.load_state_dict(weights)
    # Channels last is the faster layout on processors and accelerators alike.
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def train_network(
    network: nn.Module,
    data: SearchData,
    config: ScratchConfig,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[int, float], None] | None = None,
) -> Trained | None:
    """Train one network and score it on the validation images, at the last epoch.

    Args:
        network: on the device of the data; trained in place, and in evaluation mode in the end.
        data: training and validation images.
        config: settled settings, as from `evonas.training.recipes.settle`.
        seed: of the order of images and their augmentation.
        checkpoint: file that a killed training goes on from. It stays in the end: whoever keeps
            what the training led to removes it then, and not before.
        stop: asked after each step; True ends the training there, with its state in the checkpoint
            as of the last one written.
        on_step: called with the number of steps done since its last call and the latest loss.

    Returns:
        Scores and weights; None where ``stop`` ended it.

    Raises:
        TrainingDiverged: the loss is not a number.
    """
    start = time.perf_counter()
    images = replace(data.train, augmentation=augmentation_of(config, data.train.augmentation))
    assert config.batch_size
    forward: Callable[..., Tensor] = network
    if config.compile:
        # The networks of a space run the same code, which torch would give up on after a few of
        # them; and what it has compiled keeps a network in memory.
        torch.compiler.reset()
        forward = torch.compile(network, dynamic=False)  # it sees two sizes of images at most
    trainer = Trainer(
        network,
        images,
        training_of(config, images.steps(config.batch_size)),
        seed=seed,
        checkpoint=checkpoint,
        forward=forward,
        nesterov=recipe_of(config).nesterov,
        ema=config.ema or 0.0,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        options="scratch",
        replay=images.device.type == "cuda",
    )
    if not trainer.train(stop=stop, on_step=on_step):
        return None
    error, loss = evaluate_network(network, data.validation)
    fitted, _ = evaluate_network(network, data.train.take(min(FITTED_IMAGES, len(data.train))))
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    return Trained(error, loss, 100.0 - fitted, time.perf_counter() - start, state)


@torch.no_grad()
def evaluate_network(network: nn.Module, images: Images) -> tuple[float, float]:
    """Error in percent and mean loss in nats of a network, in evaluation mode from now on.

    Args:
        network: stand-alone, on the device of the images.
        images: as they are, without augmentation.

    Raises:
        TrainingDiverged: the loss is not a number.
    """
    network.eval()
    wrong = torch.zeros((), device=images.device)
    total = torch.zeros((), device=images.device)
    for batch, labels in images.batches(EVALUATION_BATCH, channels_last=True):
        with mixed_precision(images.device):
            logits = network(batch).float()
        wrong += (logits.argmax(1) != labels).sum()
        total += F.cross_entropy(logits, labels, reduction="sum")
    loss = float(total) / len(images)
    if not math.isfinite(loss):
        raise TrainingDiverged(
            f"the loss of a trained network is {loss}; give a smaller --scratch.lr"
        )
    return 100.0 * float(wrong) / len(images), loss


def train_several(
    jobs: Sequence[Callable[[Callable[[], bool]], T]],
    *,
    at_once: int,
    device: torch.device,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[tuple[int, T], None, None]:
    """Do jobs, several at the same time, each on a share of the CPU threads.

    A job gets the same number of threads however many others are left, so that its result does not
    depend on them: sums over threads differ in their last bits with their number.

    Args:
        jobs: each called with a function that says whether to stop.
        at_once: jobs done at the same time.
        device: where they compute; on an accelerator each has a stream of its own.
        stop: asked by all.

    Yields:
        The place of a job and what it returned, as they end.

    Raises:
        Exception: what a job raised, after what others had returned by then; they are stopped.
    """
    threads = torch.get_num_threads()
    share = max(1, threads // at_once)
    broken = threading.Event()
    streams = _streams(device, at_once)

    def stopped() -> bool:
        return broken.is_set() or stop()

    def work(job: Callable[[Callable[[], bool]], T]) -> T:
        torch.set_num_threads(share)
        with _a_stream(streams):
            return job(stopped)

    if at_once == 1:
        # On the caller's thread, whose team of threads is there already: with a second team there
        # are more threads than cores, and OpenMP has both sleep and wake at every operation.
        for place, job in enumerate(jobs):
            with _a_stream(streams):
                result = job(stop)
            yield place, result
            del result
        return
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="evonas-training")
    try:
        places = {pool.submit(work, job): place for place, job in enumerate(jobs)}
        while places:
            done, _ = wait(places, return_when=FIRST_COMPLETED)
            # A future holds what its job returned: none is kept here longer than needed.
            ended = sorted(
                ((places.pop(future), future) for future in done),
                key=lambda each: (each[1].exception() is not None, each[0]),
            )
            del done
            while ended:
                yield _result(*ended.pop(0))
    finally:
        broken.set()
        try:
            pool.shutdown(wait=True, cancel_futures=True)
        finally:
            torch.set_num_threads(threads)


def _result(place: int, future: Future[T]) -> tuple[int, T]:
    return place, future.result()


def _streams(device: torch.device, n: int) -> Queue[torch.cuda.Stream] | None:
    """So many streams of an accelerator; not more than there are, as torch gives them out again."""
    if device.type != "cuda":
        return None
    streams: Queue[torch.cuda.Stream] = Queue()
    for _ in range(min(n, MOST_STREAMS)):
        streams.put(torch.cuda.Stream(device))
    return streams


@contextmanager
def _a_stream(streams: Queue[torch.cuda.Stream] | None) -> Iterator[None]:
    """One of these, and back; waits where all are in use."""
    if streams is None:
        yield
        return
    stream = streams.get()
    try:
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        with torch.cuda.stream(stream):
            yield
            stream.synchronize()
    finally:
        streams.put(stream)
