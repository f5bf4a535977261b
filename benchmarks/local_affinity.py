"""Time and memory of LocalAffinityRefiner against the formula as it stands.

    python benchmarks/local_affinity.py --cases 1x3x256x256 as-tscd

The formula stacks 48 shifted copies of the maps in each iteration. ``as-tscd`` is the
released code of TSCD, which runs the formula for each image and threshold and computes
the weights each time. Every figure is the fastest of ``--repeats`` runs, in which all
take turns, after compilation. With other programs running, CPU time is more reliable
than wall time. Memory is the peak above the process before (on a GPU, the device's),
each in its own process. Prints a table and writes
``benchmarks/results/local_affinity.json``.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest, machine, peak_mib, seconds_of
from torch import Tensor

from mmseg_wsss.models.refiners import LocalAffinityRefiner

RESULT = Path(__file__).parent / 'results' / 'local_affinity.json'
CASES = ('1x3x256x256', '1x21x256x256', '1x21x512x512', 'as-tscd')
RUNS = ('formula', 'eager', 'compile', 'triton')  # the last one on a GPU only
DILATIONS = (1, 2, 4, 8, 12, 24)
# Channels (background and tags) of the four images of a TSCD batch.
TSCD_CHANNELS = (2, 3, 2, 4)


def shifted(maps: Tensor) -> Tensor:
    """Return the 48 neighbors (N, C, 48, H, W) of every pixel."""
    height, width = maps.shape[-2:]
    copies = []
    for d in DILATIONS:
        padded = F.pad(maps, (d,) * 4, mode='replicate')
        for y in (0, d, 2 * d):
            for x in (0, d, 2 * d):
                if (y, x) != (d, d):
                    copies.append(padded[..., y : y + height, x : x + width])
    return torch.stack(copies, 2)


def formula(img: Tensor, mask: Tensor, kind: str, num_iters: int = 10) -> Tensor:
    """Compute PAR or VARM as in the docstring of LocalAffinityRefiner, line by line."""
    neighbors = shifted(img)
    std = neighbors.std(2, keepdim=True)
    distance = (neighbors - img.unsqueeze(2)).abs() / (std + 1e-8)
    distance = distance / (0.3 if kind == 'par' else 0.25)
    weights = (-(distance**2)).mean(1, keepdim=True).softmax(2)
    if kind == 'par':
        directions = (2**0.5, 1, 2**0.5, 1, 1, 2**0.5, 1, 2**0.5)
        radius = [d * length for d in DILATIONS for length in directions]
        r = torch.tensor(radius, device=img.device)
        term = (-((r / (r.std() + 1e-8) / 0.3) ** 2)).softmax(0)
        weights = weights + 0.01 * term[:, None, None]
    else:
        down, right = torch.zeros_like(neighbors), torch.zeros_like(neighbors)
        down[..., :-1, :] = neighbors[..., :-1, :] - neighbors[..., 1:, :]
        right[..., :-1] = neighbors[..., :-1] - neighbors[..., 1:]
        variation = (down**2 + right**2).mean(1, keepdim=True)
        weights = weights - 0.01 * variation.softmax(2)
    for _ in range(num_iters):
        mask = (shifted(mask) * weights).sum(2)
    return mask


def inputs_of(case: str, device: str) -> tuple[Tensor, list[Tensor]]:
    """Return the images, and the maps of each call of the formula."""
    generator = torch.Generator().manual_seed(0)
    if case == 'as-tscd':
        num, size = len(TSCD_CHANNELS), (256, 256)
        shapes = [(1, c, *size) for c in TSCD_CHANNELS for _ in range(2)]
    else:
        num, channels, *size = map(int, case.split('x'))
        shapes = [(num, channels, *size)]
    img = torch.rand(num, 3, size[0] // 8, size[1] // 8, generator=generator)
    img = F.interpolate(img, tuple(size), mode='bilinear', align_corners=False)
    img = (img + 0.05 * torch.rand(img.shape, generator=generator)).clamp(max=1)
    masks = [torch.rand(shape, generator=generator).to(device) for shape in shapes]
    return img.to(device), masks


def call_of(run: str, case: str, kind: str, device: str) -> Callable[[], list[Tensor]]:
    """Return a call of a run that returns the refined maps, split as by the formula."""
    img, masks = inputs_of(case, device)
    if run == 'formula':
        if case != 'as-tscd':
            return lambda: [formula(img, masks[0], kind)]
        return lambda: [
            formula(img[i // 2 : i // 2 + 1], mask, kind)
            for i, mask in enumerate(masks)
        ]
    refine = LocalAffinityRefiner(kind, DILATIONS, backend=run)
    if case != 'as-tscd':
        return lambda: [refine(img, masks[0])]

    most = max(TSCD_CHANNELS)
    maps = img.new_zeros(len(img), 2 * most, *img.shape[-2:])
    for i, mask in enumerate(masks):
        start = most * (i % 2)
        maps[i // 2, start : start + mask.shape[1]] = mask[0]

    def stacked() -> list[Tensor]:
        refined = refine(img, maps).unflatten(1, (2, most))
        return [
            refined[i // 2, i % 2, : mask.shape[1]][None]
            for i, mask in enumerate(masks)
        ]

    return stacked


def measure(case: str, kind: str, args: argparse.Namespace) -> dict:
    """Return seconds, MiB and largest difference from the formula of every run."""
    runs = RUNS if args.device == 'cuda' else RUNS[:-1]
    calls = {run: call_of(run, case, kind, args.device) for run in runs}
    rows: dict[str, dict] = {}
    for run, call in calls.items():
        rows[run] = {'first_call': seconds_of(call, args.device)['wall']}
    best = fastest(calls, args.device, args.repeats, warm_up=False)
    for run, row in rows.items():
        row['seconds'] = best[run]
    expected = calls['formula']()
    for run, row in rows.items():
        pairs = zip(calls[run](), expected)
        row['largest_difference'] = max((a - b).abs().max().item() for a, b in pairs)
        row['mib'] = peak_memory(run, case, kind, args)
    for row in rows.values():
        row['times_faster'] = {
            key: rows['formula']['seconds'][key] / value
            for key, value in row['seconds'].items()
        }
        row['share_of_memory'] = row['mib'] / rows['formula']['mib']
    return rows


def peak_memory(run: str, case: str, kind: str, args: argparse.Namespace) -> float:
    """Return the MiB that a call adds to a separate process."""
    command = [sys.executable, __file__, '--memory-of', run, '--cases', case]
    command += ['--kinds', kind, '--device', args.device]
    command += ['--threads', str(args.threads)]
    # Return freed memory to the system at once, so that the peak is the live memory.
    env = os.environ | {'MALLOC_MMAP_THRESHOLD_': '65536'}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return float(done.stdout.splitlines()[-1])


def print_peak_memory(run: str, case: str, kind: str, device: str) -> None:
    call = call_of(run, case, kind, device)
    # A call first, to load everything that is loaded once, including the compiler.
    (call if run == 'compile' else call_of(run, '1x1x9x9', kind, device))()
    print(peak_mib(call, device))


def show(results: dict) -> None:
    """Print the results as a table."""
    columns = ('wall, ms', 'CPU, ms', 'faster (CPU)', 'MiB', 'share', 'difference')
    for title, rows in results.items():
        table = Table('run', *columns, title=title)
        for run, row in rows.items():
            table.add_row(
                run,
                f'{1e3 * row["seconds"]["wall"]:.1f}',
                f'{1e3 * row["seconds"]["cpu"]:.1f}',
                f'{row["times_faster"]["cpu"]:.1f}',
                f'{row["mib"]:.0f}',
                f'{row["share_of_memory"]:.2f}',
                f'{row["largest_difference"]:.1e}',
            )
        Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', nargs='+', choices=CASES, default=CASES)
    parser.add_argument(
        '--kinds', nargs='+', choices=('par', 'varm'), default=['par', 'varm']
    )
    add_device(parser)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--out', type=Path, default=RESULT)
    parser.add_argument('--memory-of', choices=RUNS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print_peak_memory(args.memory_of, args.cases[0], args.kinds[0], args.device)
        return
    results = {
        f'{case}, {kind}': measure(case, kind, args)
        for case in args.cases
        for kind in args.kinds
    }
    show(results)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    report = {'machine': machine(args), 'results': results}
    args.out.write_text(json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    main()
