from typing import Any

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn


def unwrap(model: nn.Module) -> Any:
    """Return the segmentor inside DDP, FSDP, DeepSpeed, ``torch.compile`` or TTA.

    Args:
        model: Segmentor, possibly inside several wrappers.
    """
    inner: Any = model
    while True:
        wrapped = is_model_wrapper(inner) or isinstance(inner, BaseTTAModel)
        if wrapped or type(inner).__name__ == 'DeepSpeedEngine':
            inner = inner.module
        elif hasattr(inner, '_orig_mod'):
            inner = inner._orig_mod
        else:
            return inner
