"""Memory of class prototypes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Prototypes of nonempty regions have length 1, all others are zeros.
MIN_LENGTH = 0.999


class PrototypeMemory(nn.Module):
    """Queue of the last prototypes of each class.

    The queue is a buffer, so that checkpoints contain it. Entries that were never
    filled are zeros. Source: the prototypes of RCM (Yoon et al.),
    https://arxiv.org/abs/2112.05351.

    Args:
        num_classes: Number C of classes.
        channels: Length D of a prototype.
        size: Number of prototypes kept per class, at least 1.

    Raises:
        ValueError: If ``size`` is below 1.

    Example:
        >>> memory = PrototypeMemory(num_classes=2, channels=2)
        >>> memory.push(torch.tensor([[[0.6, 0.8], [0.0, 0.0]]]))  # class 1 is absent
        >>> memory()
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """

    queue: Tensor

    def __init__(self, num_classes: int, channels: int, size: int = 5) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f'size of the memory must be at least 1, got {size}')
        self.register_buffer('queue', torch.zeros(num_classes, size, channels))

    @torch.no_grad()
    def push(self, prototypes: Tensor) -> None:
        """Append prototypes (N, C, D), except zeros; the last one is the newest."""
        rows = torch.cat([self.queue, prototypes.transpose(0, 1).to(self.queue)], 1)
        filled = rows.norm(dim=-1) > MIN_LENGTH
        # A stable sort moves the filled entries to the end and keeps their order.
        newest = filled.byte().argsort(dim=1, stable=True)[:, -self.queue.shape[1] :]
        rows = rows.masked_fill(~filled[..., None], 0.0)
        self.queue.copy_(rows.gather(1, newest[..., None].expand_as(self.queue)))

    def forward(self) -> Tensor:
        """Return mean prototypes (C, D) of length 1; zeros for classes without any."""
        return F.normalize(self.queue.mean(1), dim=-1)
