"""ImplicitSemanticAugmentation against the literal N x C x A formula.

    python benchmarks/isda.py --cases 21x16384 150x16384

Cases are classes x pixels, with 256 features, as in a step of MKD. The formula expands
the features and the weights over all classes: 150 x 16384 takes about 10 GiB. Times are
the fastest of ``--repeats`` runs, in which both take turns; with other programs
running, CPU time is more reliable than wall time. Memory is the peak above the process
before, each in its own process. Prints a table and writes
``benchmarks/results/isda.json``.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest, peak_mib, to_device
from torch import Tensor

from mmseg_wsss.models.utils import ImplicitSemanticAugmentation
from mmseg_wsss.pipelines.measure import machine

RESULT = Path(__file__).parent / 'results' / 'isda.json'
CHANNELS = 256
RUNS = ('formula', 'ours')
PARTS = ('update', 'shift')


class Formula:
    """Formulas of the paper (docs/methods: MKD), line by line, in float32."""

    def __init__(
        self, num_classes: int, device: str = 'cpu', channels: int = CHANNELS
    ) -> None:
        self.mean = torch.zeros(num_classes, channels, device=device)
        self.variance = torch.zeros(num_classes, channels, device=device)
        self.count = torch.zeros(num_classes, device=device)

    def update(self, feat: Tensor, label: Tensor) -> None:
        members = torch.nn.functional.one_hot(label, len(self.count)).float()
        count = members.sum(0)
        spread = members[:, :, None].expand(-1, -1, self.mean.shape[1])
        size = count.clamp(min=1)[:, None]
        mean = (feat[:, None] * spread).sum(0) / size
        variance = ((feat[:, None] - mean) * spread).square().sum(0) / size
        ratio = (count / (count + self.count).clamp(min=1))[:, None]
        gap = (self.mean - mean).square()
        self.variance = (1 - ratio) * self.variance + ratio * variance
        self.variance += ratio * (1 - ratio) * gap
        self.mean = (1 - ratio) * self.mean + ratio * mean
        self.count += count

    def shift(self, weight: Tensor, label: Tensor, ratio: float) -> Tensor:
        gap = weight[None] - weight[label][:, None]
        return 0.5 * ratio * (gap.square() * self.variance[label][:, None]).sum(2)


def calls_of(
    run: str, num_classes: int, pixels: int, device: str
) -> dict[str, Callable]:
    rng = torch.Generator().manual_seed(0)
    feat = torch.randn(pixels, CHANNELS, generator=rng)
    weight = torch.randn(num_classes, CHANNELS, generator=rng)
    label = torch.randint(num_classes, (pixels,), generator=rng)
    feat, weight, label = to_device([feat, weight, label], device)
    if run == 'formula':
        isda = Formula(num_classes, device)
    else:
        isda = ImplicitSemanticAugmentation(num_classes, CHANNELS).to(device)
    isda.update(feat[:100], label[:100])
    return {
        'update': lambda: isda.update(feat, label),
        'shift': lambda: isda.shift(weight, label, 1.0),
    }


def measure(case: str, args: argparse.Namespace) -> dict:
    """Return the seconds and MiB of both, and the difference of their offsets."""
    num_classes, pixels = map(int, case.split('x'))
    device = args.device
    calls = {run: calls_of(run, num_classes, pixels, device) for run in RUNS}
    rows: dict[str, dict] = {
        part: fastest({run: calls[run][part] for run in RUNS}, device, args.repeats)
        for part in PARTS
    }
    for part in PARTS:
        for run in RUNS:
            rows[part][run]['mib'] = peak_memory(run, part, case, device)
        ours, formula = (rows[part][run] for run in ('ours', 'formula'))
        rows[part]['ratio'] = {key: formula[key] / ours[key] for key in ours}
    pairs = [calls[run]['shift']() for run in RUNS]
    gap = (pairs[0] - pairs[1]).abs().max() / pairs[0].abs().max()
    return rows | {'largest_relative_difference': gap.item()}


def peak_memory(run: str, part: str, case: str, device: str) -> float:
    """Return the MiB that a call adds to a separate process."""
    command = [sys.executable, __file__, '--memory-of', run, part]
    command += ['--cases', case, '--device', device]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def print_peak_memory(run: str, part: str, case: str, device: str) -> None:
    num_classes, pixels = map(int, case.split('x'))
    # A small call first, to load everything that is loaded once.
    calls_of(run, num_classes, 200, device)[part]()
    call = calls_of(run, num_classes, pixels, device)[part]
    # Growth by less than a page is invisible: report at least one page.
    print(max(peak_mib(call, device), 4 / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', nargs='+', default=['21x16384', '150x16384'])
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    add_device(parser)
    parser.add_argument('--out', type=Path, default=RESULT)
    parser.add_argument('--memory-of', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print_peak_memory(*args.memory_of, args.cases[0], args.device)
        return
    result = {
        'machine': f'{machine()}, {args.threads} threads, {args.device}',
        'channels': CHANNELS,
        'cases': {case: measure(case, args) for case in args.cases},
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + '\n')
    table = Table('classes x pixels', 'part', 'formula', 'ours', 'CPU time', 'memory')
    for case, rows in result['cases'].items():
        for part in PARTS:
            both = [rows[part][run] for run in RUNS]
            texts = [f'{1e3 * r["cpu"]:.1f} ms, {r["mib"]:.1f} MiB' for r in both]
            ratio = rows[part]['ratio']
            less = [f'{ratio[key]:.0f} times less' for key in ('cpu', 'mib')]
            table.add_row(case, part, *texts, *less)
    Console().print(table)


if __name__ == '__main__':
    main()
