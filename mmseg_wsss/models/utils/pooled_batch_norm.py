from mmengine.dist import get_world_size
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def has_pooled_batch_norm(model: nn.Module) -> bool:
    """Return whether a trained part applies batch norm after pooling whole images.

    In training, such a head (PSPHead, ASPPHead and others) fails on a batch of one
    image; synchronized batch norm of several processes does not, and is not counted.

    Args:
        model: Network; parts without trainable parameters are skipped.
    """
    return any(
        _pools_whole_images(module)
        for module in model.modules()
        if isinstance(module, nn.Sequential)
        and any(parameter.requires_grad for parameter in module.parameters())
    )


def _pools_whole_images(sequence: nn.Sequential) -> bool:
    pooled = False
    for layer in sequence.modules():
        if isinstance(layer, POOLS):
            size = layer.output_size
            pooled = size in (1, (1, 1))
        elif pooled and isinstance(layer, _BatchNorm):
            shared = isinstance(layer, nn.SyncBatchNorm) and get_world_size() > 1
            return not shared
    return False
