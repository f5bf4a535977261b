from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmseg_wsss.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Train with autocast to bfloat16, on CPUs as well.

    MMEngine's ``AmpOptimWrapper(dtype='bfloat16')`` does the same but rejects CPUs.
    Weights stay in float32, and gradients need no scaling. A CPU benefits if it has
    instructions for bfloat16 (AVX-512 BF16 or AMX), see the page Benchmarks. Source:
    https://docs.pytorch.org/docs/stable/amp.html.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enable autocast on the device of ``model``, in the base class's context."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
