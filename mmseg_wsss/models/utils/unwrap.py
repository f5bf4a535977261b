from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap(model: nn.Module) -> Any:
    """Return the segmentor inside DDP, FSDP, DeepSpeed or ``torch.compile``."""
    inner: Any = model
    while True:
        if is_model_wrapper(inner) or type(inner).__name__ == 'DeepSpeedEngine':
            inner = inner.module
        elif hasattr(inner, '_orig_mod'):
            inner = inner._orig_mod
        else:
            return inner
