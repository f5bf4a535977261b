"""Prototypes with their loss, and the random walk, against the formulas as they stand.

    python benchmarks/rcm_mam.py

``contrast``: prototypes of two images and the contrastive loss with its gradient, at
384 x 384 from features of 256 x 48 x 48 (WideResNet-38); the formula upsamples the
features of both networks. ``walk``: 21 maps of an image of 500 x 375 at stride 8, 256
steps; the formula squares an n x n matrix eight times. Times are the fastest of
``--repeats`` runs, in which both take turns; with other programs running, CPU time is
more reliable than wall time. Memory is the peak above the process before, each in its
own process. Prints a table and writes ``benchmarks/results/rcm_mam.json``.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest, peak_mib, to_device
from torch import Tensor

from mmseg_wsss.models.losses import regional_contrastive_loss
from mmseg_wsss.models.pseudo_labels import leave_one_out, regional_prototypes
from mmseg_wsss.models.refiners import RandomWalk
from mmseg_wsss.models.utils import half_disk, pair_affinity, windows
from mmseg_wsss.pipelines.measure import machine

RESULT = Path(__file__).parent / 'results' / 'rcm_mam.json'
CASES = ('contrast', 'walk')
RUNS = ('formula', 'here')
CLASSES = 21
# Images, channels, sides of features and of crops; grid of the walk.
SIZES = {'contrast': (2, 256, 48, 384), 'walk': (47, 63)}
SMALL = {'contrast': (2, 4, 3, 9), 'walk': (3, 4)}


@torch.no_grad()
def prototypes_formula(feat: Tensor, region: Tensor, num_classes: int) -> Tensor:
    """Compute prototypes (N, C, D) of features that are upsampled to the crop."""
    full = F.interpolate(feat, region.shape[1:], mode='bilinear')
    classes = torch.arange(num_classes, device=region.device)
    masks = (region[:, None] == classes[:, None, None]).to(feat)
    own = torch.einsum('ndhw,nchw->ncd', F.normalize(full, dim=1), masks)
    return F.normalize(own, dim=-1)


def contrast_formula(feat: Tensor, prototypes: Tensor, region: Tensor) -> Tensor:
    """Compute the loss at crop size, for prototypes (N, C, D) or (C, D)."""
    full = F.interpolate(feat, region.shape[1:], mode='bilinear')
    full = F.normalize(full, dim=1)
    prototypes = prototypes.expand(len(feat), -1, -1)
    cosine = torch.einsum('ndhw,nkd->nkhw', full, prototypes)
    return F.cross_entropy(2 * cosine, region, ignore_index=255)


def contrast_call(run: str, size: tuple[int, ...], device: str) -> Callable[[], Tensor]:
    """Return a call that computes the loss and the gradient of the features."""
    num, channels, side, crop = size
    rng = torch.Generator().manual_seed(0)
    feats = torch.randn(2, num, channels, side, side, generator=rng).relu()
    # The crop is divided into one stripe per class.
    region = torch.arange(crop).div(crop / CLASSES, rounding_mode='floor').long()
    region = region.expand(num, crop, crop).contiguous()
    feats, region = to_device([feats, region], device)
    parts = regional_prototypes, regional_contrastive_loss
    if run == 'formula':
        parts = prototypes_formula, contrast_formula

    def call() -> Tensor:
        feat = feats[0].clone().requires_grad_()
        own = parts[0](feats[1], region, CLASSES)
        loss = parts[1](feat, leave_one_out(own), region)
        (grad,) = torch.autograd.grad(loss, feat)
        return torch.cat([loss.detach()[None], grad.flatten()])

    return call


def walk_call(run: str, size: tuple[int, ...], device: str) -> Callable[[], Tensor]:
    """Return a call that computes the maps (1, 21, h, w) after the walk."""
    rng = torch.Generator().manual_seed(0)
    maps = torch.rand(1, CLASSES, *size, generator=rng)
    feat = torch.randn(1, 8, size[0], size[1], generator=rng)
    maps, affinity = to_device([maps, pair_affinity(feat, 5)], device)
    if run == 'here':
        walk = RandomWalk()
        return lambda: walk(maps, affinity)

    def dense() -> Tensor:
        count = size[0] * size[1]
        grid = torch.arange(count, device=device).view(size)
        step = torch.eye(count, device=device)
        for weight, offset in zip(affinity[0] ** 8, half_disk(5)):
            first, second = windows(size, offset)
            one, other = grid[first].flatten(), grid[second].flatten()
            step[one, other] = step[other, one] = weight[first].flatten()
        step /= step.sum(1, keepdim=True)
        for _ in range(8):
            step = step @ step
        return (maps.flatten(2) @ step.T).view_as(maps)

    return dense


def call_of(run: str, case: str, sizes: dict, device: str) -> Callable[[], Tensor]:
    calls = {'contrast': contrast_call, 'walk': walk_call}
    return calls[case](run, sizes[case], device)


def measure(case: str, args: argparse.Namespace) -> dict:
    """Return seconds, MiB and largest difference from the formula of both runs."""
    calls = {run: call_of(run, case, SIZES, args.device) for run in RUNS}
    results = {run: call() for run, call in calls.items()}
    best = fastest(calls, args.device, args.repeats, warm_up=False)
    rows: dict[str, dict] = {run: {'seconds': best[run]} for run in RUNS}
    for run, row in rows.items():
        difference = (results[run] - results['formula']).abs().max()
        row['largest_difference'] = float(difference)
        command = [sys.executable, __file__, '--memory-of', run, '--cases', case]
        command += ['--threads', str(args.threads), '--device', args.device]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        row['mib'] = float(done.stdout.splitlines()[-1])
    return rows


def print_peak_memory(run: str, case: str, device: str) -> None:
    call = call_of(run, case, SIZES, device)
    call_of(run, case, SMALL, device)()  # loads everything that is loaded once
    print(peak_mib(call, device))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', nargs='+', choices=CASES, default=CASES)
    parser.add_argument('--threads', type=int, default=1)
    add_device(parser)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--out', type=Path, default=RESULT)
    parser.add_argument('--memory-of', choices=RUNS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print_peak_memory(args.memory_of, args.cases[0], args.device)
        return
    results = {case: measure(case, args) for case in args.cases}
    table = Table('case', 'run', 'wall, s', 'CPU, s', 'MiB', 'difference')
    for case, rows in results.items():
        for run, row in rows.items():
            seconds = row['seconds']
            numbers = seconds['wall'], seconds['cpu'], row['mib']
            texts = [f'{value:.3g}' for value in numbers]
            table.add_row(case, run, *texts, f'{row["largest_difference"]:.1e}')
    Console().print(table)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    device = f'{args.threads} threads, {args.device}'
    report = {'machine': f'{machine()}, {device}', 'results': results}
    args.out.write_text(json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    main()
