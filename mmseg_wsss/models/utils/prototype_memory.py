import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_LENGTH = 0.999  # of a prototype that comes from a region which is not empty


class PrototypeMemory(nn.Module):
    """The last prototypes of each class (rcm_mam.md, section 5.3).

    The queue is a buffer, so checkpoints have it. Entries that were never filled are
    zeros.

    Args:
        num_classes: Number C of classes.
        channels: Length D of a prototype.
        size: Prototypes that are kept of each class.
    """

    queue: Tensor

    def __init__(self, num_classes: int, channels: int, size: int = 5) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f'size of the memory must be at least 1, got {size}')
        self.register_buffer('queue', torch.zeros(num_classes, size, channels))

    @torch.no_grad()
    def push(self, prototypes: Tensor) -> None:
        """Take in prototypes (N, C, D), the last one as the newest; zeros are not."""
        rows = torch.cat([self.queue, prototypes.transpose(0, 1).to(self.queue)], 1)
        filled = rows.norm(dim=-1) > MIN_LENGTH
        newest = filled.byte().argsort(dim=1, stable=True)[:, -self.queue.shape[1] :]
        rows = rows.masked_fill(~filled[..., None], 0.0)
        self.queue.copy_(rows.gather(1, newest[..., None].expand_as(self.queue)))

    def forward(self) -> Tensor:
        """Mean prototypes (C, D), of length 1 or zeros where there was none yet."""
        return F.normalize(self.queue.mean(1), dim=-1)
