"""Processes that train one network together, each on its share of the images of a step.

They draw the same images and the same paths, from generators in the same state. So they need no
word about which parameters take part in a step, and what they add up is one vector: the gradients
of those that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup  # some builds of torch have none


@dataclass(frozen=True)
class Group:
    """One process of several; see `Trainer`.

    Attributes:
        rank: its number, from 0 on.
        size: how many there are.
        processes: what connects them, as torch's; by default the processes of
            ``torch.distributed.init_process_group``.
    """

    rank: int
    size: int
    processes: ProcessGroup | None = None

    def share(self, batch: Tensor) -> Tensor:
        """What of a batch is this process's; shares differ by one image at most.

        Args:
            batch: images or labels, (n, ...), the same in all processes.
        """
        return batch.tensor_split(self.size)[self.rank]

    @torch.no_grad()
    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes in the place of each tensor, in one exchange.

        Args:
            tensors: of one type, on one device and dense in memory, and of the same shapes and
                strides in all processes.
        """
        if self.size == 1:
            return
        flat = [tensor.as_strided((tensor.numel(),), (1,)) for tensor in tensors]
        bucket = torch.cat(flat)
        torch.distributed.all_reduce(bucket, group=self.processes)
        torch._foreach_copy_(flat, bucket.split([len(part) for part in flat]))
