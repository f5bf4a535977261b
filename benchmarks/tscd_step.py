"""A TSCD step of this package against the step as it was released.

    python benchmarks/tscd_step.py

MiT-B1 with random weights and the settings of the published config, random images. In
the released step, all maps of attention logits are computed and kept; CAMs are computed
in training mode by full forward passes including the decoder, with a separate pass at
scale 1; the refiner runs the formula with 48 shifted copies for each image and
threshold; the affinity is a convolution over 16 maps; and in the warm-up, all of this
is computed and multiplied by 0. Without drop path, both steps have the same losses,
which is checked. With drop path, as in the times, our CAMs also need a separate pass at
scale 1. Every figure is the fastest of ``--repeats`` runs, which take turns; with other
programs running, CPU time is more reliable than wall time. Memory is the peak above the
process with the model, each in its own process. Prints a table and writes
``benchmarks/results/tscd_step.json``.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from local_affinity import formula
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.structures import LabelData
from mmseg.models.utils import nchw_to_nlc, nlc_to_nchw
from mmseg.structures import SegDataSample
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest, machine, peak_mib, to_device
from torch import Tensor

from mmseg_wsss import config_path
from mmseg_wsss.models.losses import (
    affinity_loss,
    balanced_cross_entropy,
    multilabel_soft_margin,
    self_correspondence_loss,
)
from mmseg_wsss.models.segmentors import TSCD
from mmseg_wsss.models.segmentors.weak import denormalize, stack_tags
from mmseg_wsss.registry import MODELS

CONFIG = config_path('tscd/tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py')
RESULT = Path(__file__).parent / 'results' / 'tscd_step.json'
RUNS = ('released', 'ours')
Sample = tuple[Tensor, list[SegDataSample]]


def build() -> TSCD:
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.update(init_cfg=None)
    cfg.decode_head.dropout_ratio = 0.0
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg))
    model.init_weights()
    return model.train()


def batch(num: int, size: int) -> Sample:
    """Return smooth random images with one to three tags each."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randn(num, 3, 16, 16, generator=rng)
    inputs = F.interpolate(coarse, (size, size), mode='bilinear')
    samples = []
    for i in range(num):
        label = torch.zeros(20)
        label[[(i + 7 * j) % 20 for j in range(1 + i % 3)]] = 1
        sample = SegDataSample(metainfo={'img_shape': (size, size)})
        sample.gt_tags = LabelData(label=label)
        samples.append(sample)
    return inputs, samples


def attention(block: torch.nn.Module, x: Tensor, size: tuple) -> tuple[Tensor, Tensor]:
    """Run a block with explicit attention; also return its logits (N, heads, n, m)."""
    part, normed = block.attn, block.norm1(x)
    keys, inner = normed, part.attn
    if part.sr_ratio > 1:
        keys = part.norm(nchw_to_nlc(part.sr(nlc_to_nchw(normed, size))))
    weights = inner.in_proj_weight.chunk(3)
    biases = inner.in_proj_bias.chunk(3)
    query, key, value = (
        F.linear(item, weight, bias).unflatten(2, (inner.num_heads, -1)).transpose(1, 2)
        for item, weight, bias in zip((normed, keys, keys), weights, biases)
    )
    logits = query @ key.transpose(2, 3)
    prob = (logits * query.shape[-1] ** -0.5).softmax(-1)
    out = inner.out_proj((prob @ value).transpose(1, 2).flatten(2))
    x = x + out
    return block.ffn(block.norm2(x), size, identity=x), logits


def features(model: TSCD, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return the maps of the stages, and the attention logits of every block."""
    feats, kept = [], []
    for embed, blocks, norm in model.backbone.layers:
        x, size = embed(x)
        for block in blocks:
            x, logits = attention(block, x, size)
            kept.append(logits.clone())
        x = nlc_to_nchw(norm(x), size)
        feats.append(x)
    return feats, kept


def resize(maps: Tensor, size: Sequence[int], corners: bool = False) -> Tensor:
    return F.interpolate(maps, tuple(size), mode='bilinear', align_corners=corners)


@torch.no_grad()
def released_cam(model: TSCD, inputs: Tensor) -> Tensor:
    size, total = inputs.shape[2:], 0.0
    for scale in (1.0, 0.5, 1.5):
        img = resize(inputs, [int(side * scale) for side in size])
        feats, _ = features(model, torch.cat([img, img.flip(-1)]))
        model.decode_head(feats)
        plain, flipped = resize(model.cam_head.raw_cam(feats[3]), size).chunk(2)
        total = total + torch.maximum(plain, flipped.flip(-1)).relu()
    total = total - total.amin((2, 3), keepdim=True)
    return total / (total.amax((2, 3), keepdim=True) + 1e-5)


@torch.no_grad()
def released_label(model: TSCD, cam: Tensor, tags: Tensor, img: Tensor) -> Tensor:
    size, labels = img.shape[2:], []
    half = [side // 2 for side in size]
    for n in range(len(img)):
        channels = [k for k in range(tags.shape[1]) if tags[n, k]]
        names = torch.tensor([0, *(k + 1 for k in channels)], device=img.device)
        pair = []
        for background in (model.labeler.high_thr, model.labeler.low_thr):
            score = cam.new_full((1, *size), background)
            maps = resize(torch.cat([score, cam[n, channels]])[None], half).softmax(1)
            guide = resize(img[n : n + 1] / 255, half)
            maps = resize(formula(guide, maps, 'varm'), size)
            pair.append(names[maps[0].argmax(0)])
        high, low = pair
        label = high.clone()
        label[high == 0] = 255
        label[(high + low) == 0] = 0
        labels.append(label)
    return torch.stack(labels)


def released_losses(model: TSCD, sample: Sample, warmup: bool) -> dict[str, Tensor]:
    inputs, samples = sample
    size, tags = inputs.shape[2:], stack_tags(samples).to(inputs)
    feats, kept = features(model, inputs)
    logits = resize(model.decode_head(feats), size, True)
    maps = model.affinity_head.fuse(torch.cat(kept[-2:], 1))
    cam = released_cam(model, inputs)
    view = resize(inputs, [int(0.3 * side) for side in size], True)
    view_feats, _ = features(model, view)
    view_logits = resize(model.decode_head(view_feats), view.shape[2:], True)
    points = [2 * torch.rand(len(inputs), 1600, 2).to(inputs) - 1 for _ in range(2)]
    view_cam = released_cam(model, view)
    label = released_label(
        model, cam, tags, denormalize(inputs, model.data_preprocessor)
    )
    small = F.interpolate(label[:, None].float(), feats[3].shape[2:])[:, 0].long()
    weight = 0.0 if warmup else 0.1
    scd = self_correspondence_loss(cam, logits, view_cam, view_logits, *points)
    return {
        'loss_cls': multilabel_soft_margin(model.cam_head(feats[3]), tags),
        'loss_ce': weight * balanced_cross_entropy(logits, label),
        'loss_affinity': weight * affinity_loss(maps[:, 0].sigmoid(), small),
        'loss_scd': weight * scd,
    }


def step_of(run: str, model: TSCD, sample: Sample, warmup: bool) -> Callable[[], dict]:
    """Return a step, forward and backward, that returns its losses."""

    def step() -> dict:
        torch.manual_seed(1)
        model.warmup = warmup
        if run == 'released':
            losses = released_losses(model, sample, warmup)
        else:
            losses = model.loss(*sample)
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        model.zero_grad()
        return {k: v.item() for k, v in losses.items()}

    return step


def peak_memory(run: str, phase: str, args: argparse.Namespace) -> float:
    """Return the MiB that a step adds to a separate process."""
    command = [sys.executable, __file__, '--memory-of', run, phase]
    for name in ('size', 'batch', 'threads', 'device'):
        command += [f'--{name}', str(getattr(args, name))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def print_peak_memory(run: str, phase: str, args: argparse.Namespace) -> None:
    model = build().to(args.device)
    warmup = phase == 'warm-up'
    step_of(run, model, to_device(batch(1, 224), args.device), warmup)()
    sample = to_device(batch(args.batch, args.size), args.device)
    step = step_of(run, model, sample, warmup)
    print(peak_mib(step, args.device))


def measure(phase: str, args: argparse.Namespace) -> dict:
    """Return seconds, MiB and losses of both steps in a phase of the training."""
    model = build().to(args.device)
    sample = to_device(batch(args.batch, args.size), args.device)
    steps = {run: step_of(run, model, sample, phase == 'warm-up') for run in RUNS}
    with without_drop_path(model):
        rows: dict[str, dict] = {run: {'losses': step()} for run, step in steps.items()}
    best = fastest(steps, args.device, args.repeats, warm_up=False)
    for run, row in rows.items():
        row['seconds'] = best[run]
        row['mib'] = peak_memory(run, phase, args)
        row['times_faster'] = {
            key: rows['released']['seconds'][key] / value
            for key, value in row['seconds'].items()
        }
    check_same(rows)
    return rows


@contextmanager
def without_drop_path(model: TSCD) -> Iterator[None]:
    paths = [part for part in model.modules() if hasattr(part, 'drop_prob')]
    rates = [part.drop_prob for part in paths]
    for part in paths:
        part.drop_prob = 0.0
    yield
    for part, rate in zip(paths, rates):
        part.drop_prob = rate


def check_same(rows: dict[str, dict]) -> None:
    """Raise AssertionError unless both steps have the same losses."""
    ours, released = rows['ours']['losses'], rows['released']['losses']
    for key, value in released.items():
        found = ours.get(key, 0.0)
        assert abs(found - value) <= 2e-3 * max(abs(value), 0.1), (key, found, value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', type=int, default=512, help='at least 224')
    parser.add_argument('--batch', type=int, default=2)
    add_device(parser)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--out', type=Path, default=RESULT)
    parser.add_argument('--memory-of', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print_peak_memory(*args.memory_of, args)
        return
    results = {phase: measure(phase, args) for phase in ('training', 'warm-up')}
    table = Table('phase', 'step', 'wall, s', 'CPU, s', 'faster (CPU)', 'MiB')
    for phase, rows in results.items():
        for run, row in rows.items():
            table.add_row(
                phase,
                run,
                f'{row["seconds"]["wall"]:.2f}',
                f'{row["seconds"]["cpu"]:.2f}',
                f'{row["times_faster"]["cpu"]:.2f}',
                f'{row["mib"]:.0f}',
            )
    Console().print(table)
    report = {
        'machine': machine(args),
        'image': f'{args.batch}x3x{args.size}x{args.size}',
        'results': results,
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + '\n')


if __name__ == '__main__':
    main()
