"""Check that a strategy keeps the weights of teachers unsharded and precise."""

from collections.abc import Iterator
from typing import Any

import torch

from mmseg_wsss.models.utils import unwrap

from .problem import Problem

HALF = (torch.float16, torch.bfloat16)


def check_strategy(model: Any) -> Iterator[Problem]:
    """Check that the weights of all teachers are unsharded and not in half precision.

    Args:
        model: Segmentor, wrapped as in training.
    """
    segmentor = unwrap(model)
    teachers = list(getattr(segmentor, 'pairs', None) or ())
    if not teachers:
        return
    kind = type(segmentor).__name__
    sharding = _sharding(model)
    if sharding:
        yield Problem(
            f'{sharding} splits the weights of {kind} among the processes, and the '
            f'moving average of {", ".join(teachers)} needs them whole',
            "set strategy.type='DDPStrategy', or zero_optimization.stage of "
            'DeepSpeedStrategy to 0, 1 or 2',
        )
        return
    for name in teachers:
        dtypes = {p.dtype for p in segmentor.networks[name].parameters()}
        for dtype in dtypes.intersection(HALF):
            yield Problem(
                f'the weights of {kind}.{name} are in {dtype}, where small steps of '
                'its moving average are rounded away',
                'remove fp16 and bf16 from the strategy; DDPStrategy with '
                "optim_wrapper.type='AmpOptimWrapper' keeps the weights in float32",
            )


def _sharding(model: Any) -> str:
    """Return the name of the strategy that shards the weights, or ''."""
    if getattr(model, 'zero_optimization_partition_weights', bool)():
        return 'DeepSpeed (zero_optimization.stage=3)'
    modules = model.modules() if isinstance(model, torch.nn.Module) else ()
    for module in modules:
        for base in type(module).__mro__:
            if base.__name__ in ('FullyShardedDataParallel', 'FSDPModule'):
                return 'FSDP'
    return ''
