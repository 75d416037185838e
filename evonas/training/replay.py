"""Forward and backward of a step, recorded once as a CUDA graph and then replayed.

A small network is a few hundred kernels of some microseconds: launching them one by one takes the
host longer than they take the device.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# Recording waits for the device, and may choose kernels by timing them: one at a time.
_RECORDING = threading.Lock()
# Steps before the recording, as kernels are chosen and memory is laid out in the first ones.
_WARM_UP = 3


class NotRecorded(RuntimeError):
    """A step waits for the device, or does something else that a graph cannot hold."""


Gradients = Callable[[Tensor, Tensor], Tensor]


class ReplayedStep:
    """Gradients of one batch after another, of one shape.

    Args:
        gradients: called with images and labels; leaves gradients in the parameters, and returns
            the loss. It must do the same for every batch, and never wait for the device.
        network: whose gradients they are; its weights and statistics are as before afterwards.
        images: a batch, on the device, which says shape and memory format of all others.
        labels: its labels.
        choose: have cuDNN choose kernels by timing them, for shapes that this process has not met
            yet. On one H200 that took about 8 s for a network of 16 layers, and saved 1 of 10 ms a
            step.

    Raises:
        NotRecorded: the step cannot be recorded.
    """

    def __init__(
        self,
        gradients: Gradients,
        network: nn.Module,
        images: Tensor,
        labels: Tensor,
        *,
        choose: bool = False,
    ) -> None:
        """Records."""
        self.images, self.labels = images.clone(), labels.clone()
        self.parameters = list(network.parameters())
        self.graph = torch.cuda.CUDAGraph()
        here = torch.cuda.current_stream(images.device)
        # The default stream cannot be recorded. Any other one is taken as it is: torch has few, and
        # a new one may be that of another thread.
        default = here == torch.cuda.default_stream(images.device)
        aside = torch.cuda.Stream(images.device) if default else here
        reason = None
        with _RECORDING, _chosen_kernels(choose), torch.cuda.device(images.device):
            aside.wait_stream(here)
            # Where a recording fails, torch leaves the thread on its stream.
            with torch.cuda.stream(aside):
                self._warm_up(gradients, network)
                try:
                    self._record(gradients, aside)
                except torch.cuda.OutOfMemoryError:
                    raise
                except RuntimeError as error:
                    reason = _first_cause(error)
            here.wait_stream(aside)
        if reason is not None:
            self._no_gradients()
            raise NotRecorded(f"a step of this network cannot be recorded ({reason})")
        self.gradients = [parameter.grad for parameter in self.parameters]

    def _record(self, gradients: Gradients, stream: torch.cuda.Stream) -> None:
        # Other threads may launch and allocate meanwhile, but not wait for the whole device. What
        # a compiler has left behind would end the recording where it is collected.
        gc.collect()
        collecting = gc.isenabled()
        gc.disable()
        try:
            with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
                self.loss = gradients(self.images, self.labels)
        finally:
            if collecting:
                gc.enable()

    def _warm_up(self, gradients: Gradients, network: nn.Module) -> None:
        before = [(buffer, buffer.clone()) for buffer in network.buffers()]
        for _ in range(_WARM_UP):
            gradients(self.images, self.labels)
            self._no_gradients()
        for buffer, value in before:
            buffer.copy_(value)

    def _no_gradients(self) -> None:
        """Then the next backward makes its own, in the graph's memory, and adds to none."""
        for parameter in self.parameters:
            parameter.grad = None

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Gradients of a batch in the parameters; its loss, on the device."""
        self.images.copy_(images)
        self.labels.copy_(labels)
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        self.graph.replay()
        return self.loss.clone()


def _first_cause(error: BaseException) -> str:
    """The first line of what went wrong first: ending the recording fails then, too."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error) or type(error).__name__).splitlines()[0]


@contextmanager
def _chosen_kernels(choose: bool) -> Iterator[None]:
    """Whether cuDNN chooses kernels by timing them; else that is left as it is."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = choose or before
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
