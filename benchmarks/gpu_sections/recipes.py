"""The four published recipes: networks, batches, and naive formulations of a step."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import asdt_step
import mkd_step
import rcm_mam
import torch
import tscd_step
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from timing import to_device
from torch import Tensor, nn

from mmseg_wsss import config_path
from mmseg_wsss.models.segmentors.weak import rcm_mam as rcm_mam_segmentor
from mmseg_wsss.registry import MODELS

from .measuring import Setting


@dataclass(frozen=True)
class Recipe:
    """A published recipe.

    Args:
        config: Config file below ``configs``.
        num: Images of a batch, of each part.
        size: Side of a crop.
        dtype: Type that the recipe computes in.
        phases: Phases that are measured, and attributes of the segmentor in them.
        naive: Function that returns a naive step of a network and a batch.
        small: Settings of the network in a tiny check.
    """

    config: str
    num: int
    size: int
    dtype: str
    phases: Mapping[str, Mapping[str, Any]]
    naive: Callable[[nn.Module, tuple], Callable[[], Tensor]]
    small: Mapping[str, Any]

    def build(self, setting: Setting) -> nn.Module:
        """Return the network with random weights, in training mode."""
        cfg = Config.fromfile(config_path(self.config))
        if setting.tiny:
            cfg.merge_from_dict({f'model.{k}': v for k, v in self.small.items()})
        cfg = cfg.model
        cfg.get('segmentor', cfg).backbone.init_cfg = None
        torch.manual_seed(0)
        model = revert_sync_batchnorm(MODELS.build(cfg))
        model.init_weights()
        return model.to(setting.device).train()

    def batch(self, setting: Setting) -> tuple[Any, Any]:
        num, size = (2, 65) if setting.tiny else (self.num, self.size)
        make = mkd_step.batch if '+' in self.config else tscd_step.batch
        return to_device(make(num, size), setting.device)


def total_of(model: nn.Module, data: tuple) -> Tensor:
    """Return the sum of the losses of a step."""
    return model.parse_losses(model.loss(*data))[0]


def naive_asdt(model: nn.Module, data: tuple) -> Callable[[], Tensor]:
    """CAMs by a full forward for each image and scale."""
    scales = model.train_cam.scales

    def cam(network: Any, inputs: Tensor, feats: Any) -> Tensor:
        return asdt_step.naive_cam(network, inputs, False, scales)

    return patched(model, data, (model, 'train_cam', cam))


def naive_tscd(model: nn.Module, data: tuple) -> Callable[[], Tensor]:
    """Everything as in the released code, see tscd_step.py."""

    def call() -> Tensor:
        losses = tscd_step.released_losses(model, data, model.warmup)
        return sum(losses.values())

    return call


def naive_mkd(model: nn.Module, data: tuple) -> Callable[[], Tensor]:
    """Teachers' losses that are discarded, and formulas of N x C x A."""
    naive = mkd_step.Naive(model, str(next(model.parameters()).device.type))
    return lambda: naive.loss(*data)


def naive_rcm_mam(model: nn.Module, data: tuple) -> Callable[[], Tensor]:
    """Prototypes and contrastive loss at the size of the crop."""
    prototypes = 'regional_prototypes', rcm_mam.prototypes_formula
    loss = model.loss_rcm, 'forward', rcm_mam.contrast_formula
    return patched(model, data, (rcm_mam_segmentor, *prototypes), loss)


def patched(
    model: nn.Module, data: tuple, *changes: tuple[Any, str, Any]
) -> Callable[[], Tensor]:
    """Return a step in which attributes have other values."""

    @contextmanager
    def changed(rest: tuple) -> Iterator[None]:
        if not rest:
            yield
            return
        with mock.patch.object(*rest[0]), changed(rest[1:]):
            yield

    def call() -> Tensor:
        with changed(changes):
            return total_of(model, data)

    return call


# Features of WideResNet-38 with a 16th of the channels.
WRN_SMALL = {'backbone.base_channels': 4, 'cam_head.in_channels': 256}
RECIPES = {
    'ASDT': Recipe(
        'asdt/asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py',
        4,
        321,
        'float32',
        {
            'labels of teacher A': {'warmup': False, 'pwm_high': False},
            'labels of teacher B': {'warmup': False, 'pwm_high': True},
        },
        naive_asdt,
        {
            **WRN_SMALL,
            'decode_head.in_channels': 256,
            'teacher_head.in_channels': 256,
        },
    ),
    'TSCD': Recipe(
        'tscd/tscd_mit-b1_1xb4-20k-amp_wsss-voc12aug-512.py',
        4,
        512,
        'float16',
        {'warm-up': {'warmup': True}, 'training': {'warmup': False}},
        naive_tscd,
        {'backbone.sr_ratios': [2, 2, 1, 1]},  # for views of 9 pixels
    ),
    'MKD': Recipe(
        'mkd/mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py',
        4,
        512,
        'float16',
        {'training': {'progress': 0.5}},
        naive_mkd,
        {
            'segmentor.backbone.depth': 18,
            'segmentor.backbone.base_channels': 8,
            'segmentor.backbone.stem_channels': 8,
            'segmentor.decode_head.in_channels': 64,
            'segmentor.decode_head.channels': 16,
            'segmentor.decode_head.c1_in_channels': 8,
            'segmentor.decode_head.c1_channels': 8,
        },
    ),
    'RCMMAM': Recipe(
        'rcm_mam/rcmmam_wrn38_1xb8-13220_wsss-voc12aug-384.py',
        8,
        384,
        'float32',
        {
            'RCM': {'warmup': False, 'use_mam': False, 'progress': 0.5},
            'RCM + MAM': {'warmup': False, 'use_mam': True, 'progress': 0.5},
        },
        naive_rcm_mam,
        WRN_SMALL,
    ),
}
