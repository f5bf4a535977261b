from mmengine.model import is_model_wrapper
from torch import nn


def unwrap(model: nn.Module) -> nn.Module:
    """The segmentor inside any wrapper: DDP, FSDP, DeepSpeed, ``torch.compile``."""
    while True:
        if is_model_wrapper(model) or type(model).__name__ == 'DeepSpeedEngine':
            model = model.module
        elif hasattr(model, '_orig_mod'):
            model = model._orig_mod
        else:
            return model
