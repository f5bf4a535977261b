"""Prototypes with their loss, and the random walk, against the formulas as they stand.

    python benchmarks/rcm_mam.py

``contrast``: prototypes of two images and the contrastive loss with its gradient, at
384 x 384 from features of 256 x 48 x 48 (WideResNet-38); the formula upsamples the
features of both networks. ``walk``: 21 maps of an image of 500 x 375 at stride 8, 256
steps; the formula squares a matrix of n x n eight times. Times are the fastest of
``--repeats`` runs, in which both take turns; with other programs running, CPU time is
more reliable than wall time. Memory is the peak above the process, each in a process of
its own. Prints a table and writes ``benchmarks/results/rcm_mam.json``.
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
from timing import peak_mib, seconds_of
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


def contrast_call(run: str, size: tuple[int, ...]) -> Callable[[], Tensor]:
    """Loss, with the gradient of the features appended."""
    num, channels, side, crop = size
    rng = torch.Generator().manual_seed(0)
    feats = torch.randn(2, num, channels, side, side, generator=rng).relu()
    # A quarter of the crop, in stripes, is of a class.
    region = torch.arange(crop).div(crop / CLASSES, rounding_mode='floor').long()
    region = region.expand(num, crop, crop).contiguous()
    eye = torch.eye(CLASSES)

    def here(feat: Tensor) -> Tensor:
        own = regional_prototypes(feats[1], region, CLASSES)
        return regional_contrastive_loss(feat, leave_one_out(own), region)

    def formula(feat: Tensor) -> Tensor:
        with torch.no_grad():
            full = F.interpolate(feats[1], (crop, crop), mode='bilinear')
            masks = eye[region].permute(0, 3, 1, 2)
            own = torch.einsum('ndhw,nchw->ncd', F.normalize(full, dim=1), masks)
            prototypes = leave_one_out(F.normalize(own, dim=-1))
        full = F.interpolate(feat, (crop, crop), mode='bilinear')
        cosine = torch.einsum('ndhw,nkd->nkhw', F.normalize(full, dim=1), prototypes)
        return F.cross_entropy(2 * cosine, region)

    def call() -> Tensor:
        feat = feats[0].clone().requires_grad_()
        loss = (here if run == 'here' else formula)(feat)
        (grad,) = torch.autograd.grad(loss, feat)
        return torch.cat([loss.detach()[None], grad.flatten()])

    return call


def walk_call(run: str, size: tuple[int, ...]) -> Callable[[], Tensor]:
    """Maps (1, 21, h, w) after the walk."""
    rng = torch.Generator().manual_seed(0)
    maps = torch.rand(1, CLASSES, *size, generator=rng)
    feat = torch.randn(1, 8, size[0], size[1], generator=rng)
    affinity = pair_affinity(feat, 5)
    if run == 'here':
        walk = RandomWalk()
        return lambda: walk(maps, affinity)

    def dense() -> Tensor:
        count = size[0] * size[1]
        grid = torch.arange(count).view(size)
        step = torch.eye(count)
        for weight, offset in zip(affinity[0] ** 8, half_disk(5)):
            first, second = windows(size, offset)
            one, other = grid[first].flatten(), grid[second].flatten()
            step[one, other] = step[other, one] = weight[first].flatten()
        step /= step.sum(1, keepdim=True)
        for _ in range(8):
            step = step @ step
        return (maps.flatten(2) @ step.T).view_as(maps)

    return dense


def call_of(run: str, case: str, sizes: dict) -> Callable[[], Tensor]:
    return {'contrast': contrast_call, 'walk': walk_call}[case](run, sizes[case])


def measure(case: str, args: argparse.Namespace) -> dict:
    """Seconds, MiB and largest difference from the formula of both runs."""
    calls = {run: call_of(run, case, SIZES) for run in RUNS}
    results = {run: call() for run, call in calls.items()}
    rows: dict[str, dict] = {run: {'seconds': {}} for run in RUNS}
    for _ in range(args.repeats):
        for run, call in calls.items():
            best = rows[run]['seconds']
            for key, value in seconds_of(call, 'cpu').items():
                best[key] = min(best.get(key, value), value)
    for run, row in rows.items():
        difference = (results[run] - results['formula']).abs().max()
        row['largest_difference'] = float(difference)
        command = [sys.executable, __file__, '--memory-of', run, '--cases', case]
        command += ['--threads', str(args.threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        row['mib'] = float(done.stdout.splitlines()[-1])
    return rows


def print_peak_memory(run: str, case: str) -> None:
    call = call_of(run, case, SIZES)
    call_of(run, case, SMALL)()  # what is loaded once does not count
    print(peak_mib(call))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', nargs='+', choices=CASES, default=CASES)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--out', type=Path, default=RESULT)
    parser.add_argument('--memory-of', choices=RUNS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print_peak_memory(args.memory_of, args.cases[0])
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
    report = {'machine': machine(), 'results': results}
    args.out.write_text(json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    main()
