"""Stand-alone networks: trained from scratch or on from given weights."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evonas.config import ScratchConfig
from evonas.data import Images, SearchData
from evonas.training.initial import initialise
from evonas.training.recipes import augmentation_of, recipe_of, training_of
from evonas.training.trainer import Trainer, TrainingDiverged, mixed_precision

# A batch of an evaluation in which each image counts by itself.
EVALUATION_BATCH = 512
# So many training images tell how well a network fits them.
FITTED_IMAGES = 2000
# A training that takes less is made anew after a crash.
CHECKPOINT_SECONDS = 20.0

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
        seconds: that the training took, in all processes, without what a killed one lost of it.
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
    start -= trainer.seconds  # of the processes before
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
