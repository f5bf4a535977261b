"""Wide ResNet with 38 layers, at output stride 8."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmseg_wsss.registry import MODELS

from .pretrained_files import pretrained_checkpoint
from .wide_resnet38_weights import load_pretrained

NormCfg = dict[str, Any]

# Blocks, stride, first and further dilation, and channels of the inner and the last
# convolution as multiples of ``base_channels``. Where a dilation replaces the stride of
# a classification network, the convolution that had the stride keeps the dilation of
# its input: the first one of b5.
BASIC_STAGES = {
    'b2': (3, 2, 1, 1, 2, 2),
    'b3': (3, 2, 1, 1, 4, 4),
    'b4': (6, 2, 1, 1, 8, 8),
    'b5': (3, 1, 1, 2, 8, 16),
}
# Output channels as a multiple of ``base_channels``; one block of dilation 4 each.
BOTTLENECK_STAGES = {'b6': 32, 'b7': 64}
STAGES = (*BASIC_STAGES, *BOTTLENECK_STAGES)


def _conv3x3(cin: int, cout: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, 3, stride, dilation, dilation, bias=False)


def _norm(norm_cfg: NormCfg, channels: int) -> nn.Module:
    return build_norm_layer(norm_cfg, channels)[1]


class BasicBlock(nn.Module):
    """Pre-activation block: norm, ReLU and a 3x3 convolution, twice.

    The shortcut is the input or, if the shape changes, a 1x1 convolution of the
    activated input (He et al., "Identity Mappings in Deep Residual Networks",
    https://arxiv.org/abs/1603.05027). Submodules are named as in the published weights.
    """

    def __init__(
        self,
        cin: int,
        mid: int,
        cout: int,
        norm_cfg: NormCfg,
        stride: int = 1,
        first_dilation: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.bn_branch2a = _norm(norm_cfg, cin)
        self.conv_branch2a = _conv3x3(cin, mid, stride, first_dilation)
        self.bn_branch2b1 = _norm(norm_cfg, mid)
        self.conv_branch2b1 = _conv3x3(mid, cout, dilation=dilation)
        self.conv_branch1 = (
            None
            if cin == cout and stride == 1
            else nn.Conv2d(cin, cout, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output and its activated input."""
        activated = F.relu(self.bn_branch2a(x), inplace=True)
        out = self.conv_branch2a(activated)
        out = self.conv_branch2b1(F.relu(self.bn_branch2b1(out), inplace=True))
        shortcut = x if self.conv_branch1 is None else self.conv_branch1(activated)
        return out + shortcut, activated


class BottleneckBlock(nn.Module):
    """Pre-activation bottleneck: 1x1, dilated 3x3 and 1x1 convolution.

    ``Dropout2d`` acts on the inputs of the second and the third convolution. The three
    convolutions have a quarter, a half and all of ``cout`` channels.
    """

    def __init__(
        self, cin: int, cout: int, norm_cfg: NormCfg, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.bn_branch2a = _norm(norm_cfg, cin)
        self.conv_branch2a = nn.Conv2d(cin, cout // 4, 1, bias=False)
        self.bn_branch2b1 = _norm(norm_cfg, cout // 4)
        self.dropout_2b1 = nn.Dropout2d(dropout)
        self.conv_branch2b1 = _conv3x3(cout // 4, cout // 2, dilation=dilation)
        self.bn_branch2b2 = _norm(norm_cfg, cout // 2)
        self.dropout_2b2 = nn.Dropout2d(dropout)
        self.conv_branch2b2 = nn.Conv2d(cout // 2, cout, 1, bias=False)
        self.conv_branch1 = nn.Conv2d(cin, cout, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output and its activated input."""
        activated = F.relu(self.bn_branch2a(x), inplace=True)
        out = F.relu(self.bn_branch2b1(self.conv_branch2a(activated)), inplace=True)
        out = self.conv_branch2b1(self.dropout_2b1(out))
        out = F.relu(self.bn_branch2b2(out), inplace=True)
        out = self.conv_branch2b2(self.dropout_2b2(out))
        return out + self.conv_branch1(activated), activated


@MODELS.register_module()
class WideResNet38(BaseModule):
    """Wide ResNet-38 at output stride 8.

    Source: model A1 of Wu et al., "Wider or Deeper: Revisiting the ResNet Model for
    Visual Recognition", https://arxiv.org/abs/1611.10080, in the form of Ahn and Kwak
    (PSA), https://arxiv.org/abs/1803.10464.

    Stages, blocks, channels and strides at ``base_channels=64``; the network is
    pre-activated, so output ``i`` is the stage after the norm and ReLU of the next one
    (AffinityNet uses 2, 3 and 5):

    ===== ===== ====== ======== ======
    index stage blocks channels stride
    ===== ===== ====== ======== ======
    0     b2    3      128      2
    1     b3    3      256      4
    2     b4    6      512      8
    3     b5    3      1024     8
    4     b6    1      2048     8
    5     b7    1      4096     8
    ===== ===== ====== ======== ======

    Parameters have the names of PSA's ``res38_cls.pth``. With
    ``init_cfg=dict(type='Pretrained', checkpoint=FILE)``, ``FILE`` is a PyTorch file
    with these names, with or without the prefix ``backbone.``, or the MXNet
    ``.params`` file of the authors; local files are read without unpickling.

    Args:
        out_indices: Ascending indices of the returned maps, ending with 5.
        dropout: Probabilities of ``Dropout2d`` in b6 and b7, in [0, 1).
        frozen_stages: Stages among ``'conv1a', 'b2', ..., 'b7'`` that are not trained;
            ``'b2'`` means its three blocks. PSA and RCM+MAM freeze
            ``('conv1a', 'b2')``, ASDT nothing.
        norm_eval: Whether to keep batch norm in eval mode and its affine parameters
            frozen.
        norm_cfg: Config of the norm layers.
        with_cp: Whether to recompute the activations of each block in the backward
            pass.
        base_channels: Channels of ``conv1a``, at least 1; all other numbers of channels
            are multiples of it.
        init_cfg: Initialization; He initialization without it.

    Raises:
        ValueError: If an index, a probability, a stage's name or the width is out of
            range.

    Example:
        >>> backbone = WideResNet38(base_channels=2, out_indices=(3, 5))
        >>> [tuple(feat.shape) for feat in backbone(torch.rand(1, 3, 33, 32))]
        [(1, 32, 5, 4), (1, 128, 5, 4)]
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (5,),
        dropout: tuple[float, float] = (0.3, 0.5),
        frozen_stages: Sequence[str] = (),
        norm_eval: bool = True,
        norm_cfg: NormCfg | None = None,
        with_cp: bool = False,
        base_channels: int = 64,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg or {'type': 'Kaiming', 'layer': 'Conv2d'})
        self._check(out_indices, dropout, frozen_stages, base_channels)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = tuple(frozen_stages)
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.out_channels = tuple(
            base_channels * (2, 4, 8, 16, 32, 64)[index] for index in self.out_indices
        )
        norm_cfg = norm_cfg or {'type': 'BN'}
        self.conv1a = _conv3x3(3, base_channels)
        self.stage_blocks: dict[str, list[str]] = {}
        cin = base_channels
        for stage in STAGES:
            if stage in BASIC_STAGES:
                cin = self._add_basic_stage(stage, cin, base_channels, norm_cfg)
            else:
                cout = BOTTLENECK_STAGES[stage] * base_channels
                prob = dropout[stage == 'b7']
                block = BottleneckBlock(cin, cout, norm_cfg, dilation=4, dropout=prob)
                self.add_module(stage, block)
                self.stage_blocks[stage] = [stage]
                cin = cout
        self.bn7 = _norm(norm_cfg, cin)
        self._freeze()

    @staticmethod
    def _check(
        out_indices: Sequence[int],
        dropout: tuple[float, float],
        frozen_stages: Sequence[str],
        base_channels: int,
    ) -> None:
        last = len(STAGES) - 1
        indices = list(out_indices)
        if (
            not indices
            or indices != sorted(set(indices))
            or indices[0] < 0
            or indices[-1] != last
        ):
            raise ValueError(
                'WideResNet38: out_indices must ascend within [0, 5] and end with 5, '
                f'got {tuple(out_indices)}'
            )
        if len(dropout) != 2 or not all(0 <= prob < 1 for prob in dropout):
            raise ValueError(
                'WideResNet38: dropout must be two probabilities in [0, 1), for b6 and '
                f'b7, got {dropout}'
            )
        unknown = [name for name in frozen_stages if name not in ('conv1a', *STAGES)]
        if isinstance(frozen_stages, str) or unknown:
            raise ValueError(
                f'WideResNet38: frozen_stages must be a list of names among '
                f'{("conv1a", *STAGES)}, got {frozen_stages!r}'
            )
        if base_channels < 1:
            raise ValueError(
                f'WideResNet38: base_channels must be at least 1, got {base_channels}'
            )

    def _add_basic_stage(
        self, stage: str, cin: int, base_channels: int, norm_cfg: NormCfg
    ) -> int:
        depth, stride, first_dilation, dilation, *multiples = BASIC_STAGES[stage]
        mid, cout = (multiple * base_channels for multiple in multiples)
        names = [stage, *(f'{stage}_{i}' for i in range(1, depth))]
        for i, name in enumerate(names):
            geometry = (
                (1, dilation, dilation) if i else (stride, first_dilation, dilation)
            )
            self.add_module(name, BasicBlock(cin, mid, cout, norm_cfg, *geometry))
            cin = cout
        self.stage_blocks[stage] = names
        return cin

    def _frozen_modules(self) -> list[nn.Module]:
        names = [
            name
            for stage in self.frozen_stages
            for name in self.stage_blocks.get(stage, [stage])
        ]
        return [self.get_submodule(name) for name in names]

    def _freeze(self) -> None:
        for module in self._frozen_modules():
            module.requires_grad_(False)
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.requires_grad_(False)

    def init_weights(self) -> None:
        """Initialize once; a local pretrained file is read without unpickling."""
        source = pretrained_checkpoint(self.init_cfg)
        if source is None or self.is_init:
            super().init_weights()
            return
        load_pretrained(self, **source)
        self._is_init = True

    def train(self, mode: bool = True) -> 'WideResNet38':
        """Set the mode; frozen stages and, with ``norm_eval``, norms stay in eval."""
        super().train(mode)
        if mode:
            for module in self._frozen_modules():
                module.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

    def forward(self, img: Tensor) -> tuple[Tensor, ...]:
        """Extract feature maps.

        Args:
            img: Normalized images (N, 3, H, W).

        Returns:
            One map for each value of ``out_indices``, at least 0. Sides are
            ``ceil(side / stride)``.
        """
        x = self.conv1a(img)
        outs = []
        for index, names in enumerate(self.stage_blocks.values()):
            for name in names:
                block = getattr(self, name)
                if self.with_cp and self.training:
                    x, activated = checkpoint(block, x, use_reentrant=False)
                else:
                    x, activated = block(x)
                if name == names[0] and index - 1 in self.out_indices:
                    outs.append(activated)
        outs.append(F.relu(self.bn7(x), inplace=True))
        return tuple(outs)
