"""A whole MKD step against a naive one of the same shapes.

    python benchmarks/mkd_step.py

The naive step follows the released code: four teacher forward passes, each with a
discarded supervised loss at full size, and the statistics and offsets of the N x C x A
formula. Both run forward and backward, and both update the teachers. Shapes are the
published ones: 4 + 4 images of 512 pixels with maps at stride 4; MobileNetV2 with
random weights stands in for ResNet-50 under DeepLabV3+'s head. Times are the fastest of
``--repeats`` runs, in which both take turns; with other programs running, CPU time is
more reliable than wall time. Prints a table and writes
``benchmarks/results/mkd_step.json``.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from isda import Formula
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest, to_device
from torch import Tensor

from mmseg_wsss import config_path
from mmseg_wsss.models.segmentors import MKD
from mmseg_wsss.models.utils import mix, update_ema
from mmseg_wsss.pipelines.measure import machine
from mmseg_wsss.registry import MODELS

CONFIG = config_path('mkd/mkd_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py')
RESULT = Path(__file__).parent / 'results' / 'mkd_step.json'
HEAD = {
    'type': 'DepthwiseSeparableASPPHead',
    'channels': 256,
    'dilations': (1, 6, 12, 18),
    'c1_in_channels': 24,
    'c1_channels': 48,
    'dropout_ratio': -1,
    'norm_cfg': {'type': 'BN', 'requires_grad': True},
}
OTHER = {'1': '2', '2': '1'}


def build() -> MKD:
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIG).model
    net = cfg.segmentor
    net.backbone.init_cfg = None
    net.backbone.out_indices = (1, 6)  # logits at stride 4, as published
    keep = ('in_channels', 'in_index', 'num_classes', 'align_corners', 'loss_decode')
    net.decode_head = {**HEAD, **{key: net.decode_head[key] for key in keep}}
    cfg.semi_train_cfg = {'loss_scale_factor': 0.5, 'cutmix': None}
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    model.progress = 0.5
    return model.train()


def batch(num: int, size: int) -> tuple[dict[str, Tensor], dict[str, list]]:
    rng = torch.Generator().manual_seed(0)
    inputs, samples = {}, {}
    for branch in ('sup', 'unsup_weak', 'unsup_strong'):
        coarse = torch.randn(num, 3, 12, 12, generator=rng)
        inputs[branch] = F.interpolate(coarse, (size, size), mode='bilinear')
        samples[branch] = [SegDataSample() for _ in range(num)]
        for sample in samples[branch]:
            sample.set_metainfo({'img_shape': (size, size)})
            truth = torch.randint(21, (1, 12, 12), generator=rng).float()
            truth = F.interpolate(truth[None], (size, size))[0].long()
            sample.gt_sem_seg = PixelData(data=truth)
    return inputs, samples


class Naive:
    """Step of the released code, regardless of its cost."""

    def __init__(self, model: MKD, device: str) -> None:
        self.model = model
        self.isda = {
            name: Formula(21, device, net.decode_head.channels)
            for name, net in model.networks.items()
        }

    def loss(self, inputs: dict[str, Tensor], samples: dict[str, list]) -> Tensor:
        mask = torch.ones_like(inputs['unsup_strong'][:, :1])
        mixed = mix(inputs['unsup_strong'], mask)
        total = torch.zeros(())
        shifted = {}
        for name, net in self.model.networks.items():
            teacher = name in self.model.pairs
            img = inputs['unsup_weak'] if teacher else mixed
            with torch.set_grad_enabled(not teacher):
                # Every forward pass computes the head's loss; it is used only for
                # students on labeled images.
                parts = []
                for branch, view in (('sup', inputs['sup']), ('unsup_weak', img)):
                    output = self.model.forward_network(name, view)
                    (out,) = output.outs
                    losses = net.decode_head.loss_by_feat(out, samples[branch])
                    parts.append(output)
                    if branch == 'sup' and not teacher:
                        total = total + losses['loss_ce']
            if teacher:
                parts[1] = parts[1].mixed(mask)
            shifted[name] = self.shift(name, parts, samples['sup'])
        for student, other in OTHER.items():
            for kind, weight in (('teacher', 1.5), ('student', 1.0)):
                label = shifted[f'{kind}{other}'].argmax(1)
                logits = shifted[f'student{student}']
                total = total + weight * F.cross_entropy(logits, label)
        return total

    def shift(self, name: str, parts: list, samples: list) -> Tensor:
        weight = self.model.networks[name].decode_head.conv_seg.weight.detach()
        results = []
        for number, part in enumerate(parts):
            logits, feat = (
                F.interpolate(maps, scale_factor=0.5, mode='bilinear')
                for maps in (part.logits, part.feat.detach())
            )
            truth = self.model.ground_truth(samples)[:, None].float()
            label = F.interpolate(truth, logits.shape[2:])[:, 0].long()
            if number:
                label = logits.argmax(1)
            rows = feat.permute(0, 2, 3, 1).flatten(0, 2)
            self.isda[name].update(rows, label.flatten())
            offset = self.isda[name].shift(
                weight.flatten(1), label.flatten(), float(self.model.isda.ratio)
            )
            offset = offset.view(*label.shape, -1).permute(0, 3, 1, 2)
            results.append(logits + offset)
        return torch.cat(results)


def steps_of(model: MKD, data: tuple, device: str) -> dict[str, Callable]:
    """Return the naive step and ours: forward, backward and update of the teachers."""
    naive = Naive(model, device)
    averaged = {
        teacher: ExponentialMovingAverage(
            model.networks[teacher], 0.4, update_buffers=True
        )
        for teacher in model.pairs
    }

    def naive_step() -> None:
        naive.loss(*data).backward()
        model.zero_grad()
        for teacher, student in model.pairs.items():
            averaged[teacher].update_parameters(model.networks[student])

    def our_step() -> None:
        model.parse_losses(model.loss(*data))[0].backward()
        model.zero_grad()
        for teacher, student in model.pairs.items():
            update_ema(model.networks[teacher], model.networks[student], 0.6)

    return {'naive': naive_step, 'ours': our_step}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    add_device(parser)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--size', type=int, default=512)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = build().to(args.device)
    data = to_device(batch(args.batch, args.size), args.device)
    calls = steps_of(model, data, args.device)
    best = fastest(calls, args.device, args.repeats)
    result = {
        'machine': f'{machine()}, {args.threads} threads, {args.device}',
        'batch': f'{args.batch}+{args.batch} of {args.size} pixels',
        'seconds': best,
        'times_faster': {k: best['naive'][k] / best['ours'][k] for k in best['ours']},
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + '\n')
    table = Table('step', 'wall, s', 'CPU, s', title=result['machine'])
    for name, row in best.items():
        table.add_row(name, *(f'{row[key]:.2f}' for key in ('wall', 'cpu')))
    Console().print(table)
    print(f'{result["times_faster"]["cpu"]:.2f} times faster (CPU time)')


if __name__ == '__main__':
    main()
