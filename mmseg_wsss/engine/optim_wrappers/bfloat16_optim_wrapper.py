from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmseg_wsss.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Train under autocast to bfloat16, on a CPU, too.

    MMEngine's ``AmpOptimWrapper(dtype='bfloat16')`` does the same and refuses CPUs.
    Weights stay in float32; gradients need no scale. A CPU gains from it if it has
    instructions for bfloat16 (AVX-512 BF16 or AMX), see the page Benchmarks.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enable autocast on the device of ``model``, in the base class's context."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
