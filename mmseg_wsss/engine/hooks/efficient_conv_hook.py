import torch
from mmcv.cnn import ConvModule
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class EfficientConvHook(Hook):
    """Compute convolutions faster, with the same results up to rounding.

    Convolutions run in channels-last order, and MMCV's ``ConvModule`` folds a batch
    norm in eval mode into the weights of its convolution, in training, too. A network
    with depthwise convolutions and frozen batch norm gains most, see the page
    Benchmarks. Source: You et al., "Efficient ConvBN Blocks for Transfer Learning and
    Beyond", https://arxiv.org/abs/2305.11624.
    """

    def before_run(self, runner: Runner) -> None:
        """Change the memory format and the folding of the whole model."""
        for module in runner.model.modules():
            if isinstance(module, torch.nn.Conv2d):
                weight = module.weight
                weight.data = weight.contiguous(memory_format=torch.channels_last)
            elif isinstance(module, ConvModule):
                module.turn_on_efficient_conv_bn_eval()
