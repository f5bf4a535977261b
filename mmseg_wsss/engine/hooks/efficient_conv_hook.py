import torch
from mmcv.cnn import ConvModule
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import SpaceToBatchConv2d
from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class EfficientConvHook(Hook):
    """Compute convolutions faster, with the same results up to rounding.

    Convolutions run in channels-last order, and MMCV's ``ConvModule`` folds a batch
    norm in eval mode into the weights of its convolution, during training as well. On a
    CPU, dilated depthwise convolutions become ``SpaceToBatchConv2d``. Networks with
    depthwise convolutions and frozen batch norm benefit most, see the page Benchmarks.
    The hook is meant for a single process: in distributed training, the memory format
    of the gradients would differ from DDP's buckets. Source: You et al., "Efficient
    ConvBN Blocks for Transfer Learning and Beyond", https://arxiv.org/abs/2305.11624.
    """

    # Not in before_run, which precedes the initialization of the weights: it would draw
    # random values in the channels-last order of the memory.

    def before_train(self, runner: Runner) -> None:
        """Convert the convolutions of the network before training."""
        make_efficient(runner.model)

    def before_val(self, runner: Runner) -> None:
        """Convert the convolutions of the network before validation."""
        make_efficient(runner.model)

    def before_test(self, runner: Runner) -> None:
        """Convert the convolutions of the network before testing."""
        make_efficient(runner.model)


def make_efficient(model: torch.nn.Module) -> None:
    """Convert the plain convolutions of a model to their faster forms, in place."""
    for module in model.modules():  # a ConvModule comes before its convolution
        if isinstance(module, ConvModule) and type(module.conv) is torch.nn.Conv2d:
            module.turn_on_efficient_conv_bn_eval()
        elif type(module) is torch.nn.Conv2d:
            weight = module.weight
            weight.data = weight.contiguous(memory_format=torch.channels_last)
            if weight.device.type == 'cpu' and SpaceToBatchConv2d.suits(module):
                module.__class__ = SpaceToBatchConv2d
