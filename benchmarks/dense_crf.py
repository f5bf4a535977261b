"""Time, agreement and memory of DenseCRF's backends on real images.

    python benchmarks/dense_crf.py --data-root data/VOCdevkit/VOC2012

Needs images with masks in VOC layout (the score maps are made from the masks) and
pydensecrf2 (extra ``crf``). Every figure is the mean over images of the fastest of
``--repeats`` runs; the backends take turns, so that load affects all alike. With other
programs running, CPU time (summed over threads) is more reliable than wall time.
Prints a table and writes ``benchmarks/results/dense_crf.json``.
"""

import argparse
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest, machine, peak_mib
from torch import Tensor

from mmseg_wsss.models.refiners import DenseCRF

RESULT = Path(__file__).parent / 'results' / 'dense_crf.json'
SETTINGS = {
    '80/13/10': {
        'bilateral_sxy': 80.0,
        'bilateral_srgb': 13.0,
        'bilateral_compat': 10.0,
    },
    '83/5/4': {'bilateral_sxy': 83.0, 'bilateral_srgb': 5.0, 'bilateral_compat': 4.0},
}
ALPHAS = (4, 32)
TASKS = {
    'one CRF, 21 labels': ('img', 'prob'),
    'two CRFs, labels of the image': ('img', 'scores', 'exists'),
}
NUM_LABELS = 21


def load(root: Path, name: str, size: int) -> tuple[Tensor, Tensor]:
    """Return an image (1, 3, size, size) in 0..255 and its mask; unlabeled is 0."""
    with Image.open(root / 'JPEGImages' / f'{name}.jpg') as file:
        img = np.array(file.convert('RGB').resize((size, size)))
    with Image.open(root / 'SegmentationClass' / f'{name}.png') as file:
        mask = np.array(file.resize((size, size), Image.Resampling.NEAREST))
    mask = torch.from_numpy(mask.astype(np.int64))
    img = torch.from_numpy(img).permute(2, 0, 1)[None].float()
    return img, mask.masked_fill(mask == 255, 0)


def network_like(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Return soft, noisy probabilities (1, 21, H, W) like a network's at stride 8."""
    gt = F.one_hot(mask, NUM_LABELS).permute(2, 0, 1)[None].float()
    coarse = F.avg_pool2d(gt, 15, stride=8, padding=7)
    coarse = coarse + 0.3 * torch.randn(coarse.shape, generator=generator)
    return F.interpolate(4 * coarse, mask.shape, mode='bilinear').softmax(1)


def cam_like(mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return scores (1, 2, 21, H, W) of both CRFs of ASDT, and present labels (1, 21).

    The maps roughly locate each class, are higher in a random part of it, extend beyond
    its border, and are divided by their maximum.
    """
    gt = F.one_hot(mask, NUM_LABELS).permute(2, 0, 1)[None].float()
    coarse = F.avg_pool2d(gt, 49, stride=16, padding=24)
    coarse = coarse * (0.3 + torch.rand(coarse.shape, generator=generator))
    cam = F.interpolate(coarse, mask.shape, mode='bilinear')[:, 1:]
    cam = cam / (cam.amax((2, 3), keepdim=True) + 1e-5)
    background = (1 - cam.amax(1, keepdim=True)).clamp(min=0)
    scores = [torch.cat([background**alpha, cam], 1) for alpha in ALPHAS]
    exists = torch.zeros(1, NUM_LABELS, dtype=torch.bool)
    exists[0, mask.unique()] = True
    exists[0, 0] = True
    return torch.stack(scores, 1), exists


def time_one(images: list[dict], repeats: int) -> dict:
    """Return wall and CPU seconds per image, one image per call, on one core."""
    torch.set_num_threads(1)
    crfs = {
        'torch': DenseCRF(),
        'torch, half size': DenseCRF(scale_factor=0.5),
        'pydensecrf': DenseCRF(backend='pydensecrf'),
    }
    result = {}
    for task, keys in TASKS.items():
        runs = []
        for image in images:
            inputs = [image[key] for key in keys]
            calls = {name: partial(crf, *inputs) for name, crf in crfs.items()}
            runs.append(fastest(calls, 'cpu', repeats))
        result[task] = {
            name: {key: float(np.mean([r[name][key] for r in runs])) for key in times}
            for name, times in runs[0].items()
        }
    return result


def time_batch(images: list[dict], args: argparse.Namespace) -> dict:
    """Return wall seconds per image, all images in one call, on all cores or a GPU."""
    threads = args.threads
    torch.set_num_threads(threads)
    pool = DenseCRF(backend='pydensecrf', num_workers=threads)
    result = {}
    for task, keys in TASKS.items():
        inputs = [torch.cat([p[key] for p in images]) for key in keys]
        calls = {
            f'torch, {threads} threads': partial(DenseCRF(), *inputs),
            f'pydensecrf, {threads} processes': partial(pool, *inputs),
        }
        if args.device == 'cuda':
            calls['torch, GPU'] = partial(DenseCRF(), *(x.cuda() for x in inputs))
        times = fastest(calls, args.device, args.repeats)
        result[task] = {name: t['wall'] / len(images) for name, t in times.items()}
    pool.pool.close()
    return result


def compare(images: list[dict]) -> dict:
    """Return the ratio of pixels with pydensecrf's label, mean and minimum by image."""
    result = {}
    for name, settings in SETTINGS.items():
        fast = DenseCRF(**settings)
        slow = DenseCRF(**settings, backend='pydensecrf')
        half = DenseCRF(**settings, scale_factor=0.5)
        kinds = {'network-like': ('prob', None), 'CAM-like': ('scores', 'exists')}
        for kind, (key, mask) in kinds.items():
            ratios = []
            for image in images:
                inputs = image['img'], image[key], image.get(mask)
                label = slow(*inputs).argmax(-3)
                others = fast(*inputs), half(*inputs), image[key]
                same = [(o.argmax(-3) == label).double().mean() for o in others]
                ratios.append(torch.stack(same))
            mean, least = torch.stack(ratios).mean(0), torch.stack(ratios).amin(0)
            result[f'{name}, {kind}'] = {
                'mean': mean[0].item(),
                'minimum': least[0].item(),
                'half size': mean[1].item(),
                'input': mean[2].item(),
            }
    return result


def peak_memory(args: argparse.Namespace, backend: str) -> float:
    """Return the MiB that one CRF of 21 labels adds to a process, a separate one."""
    command = [sys.executable, __file__, '--memory-of', backend]
    command += ['--size', str(args.size), '--threads', str(args.threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def print_peak_memory(size: int, backend: str) -> None:
    """Print the maximum growth of the resident memory in MiB (Linux)."""
    crf = DenseCRF(backend=backend)
    prob = torch.rand(1, NUM_LABELS, size, size)
    img = 255 * F.interpolate(torch.rand(1, 3, 20, 20), (size, size), mode='bilinear')
    # A small call first, to load everything that is loaded once.
    crf(img[..., :9, :9], prob[..., :9, :9])
    print(peak_mib(lambda: crf(img, prob)))


def show(result: dict) -> None:
    """Print the result as tables."""
    console = Console()
    for task, times in result['seconds'].items():
        title = f'{task}: one core'
        table = Table('backend', 'wall, ms', 'ratio', 'CPU, ms', 'ratio', title=title)
        base = times['pydensecrf']
        for name, took in times.items():
            cells = []
            for key in ('wall', 'cpu'):
                cells += [f'{1e3 * took[key]:.0f}', f'{took[key] / base[key]:.2f}']
            table.add_row(name, *cells)
        console.print(table)
    for task, times in result['batch_seconds'].items():
        table = Table('backend', 'wall, ms an image', title=f'{task}: a batch')
        for name, seconds in times.items():
            table.add_row(name, f'{1e3 * seconds:.0f}')
        console.print(table)
    columns = ('mean', 'minimum', 'half size', 'input')
    table = Table('settings', *columns, title='pixels with the label of pydensecrf, %')
    for name, row in result['agreement'].items():
        table.add_row(name, *(f'{100 * row[c]:.2f}' for c in columns))
    console.print(table)
    table = Table('backend', 'MiB', title='peak memory above the process')
    for name, size in result['memory_mib'].items():
        table.add_row(name, f'{size:.0f}')
    console.print(table)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data-root', type=Path, default='data/VOCdevkit/VOC2012')
    parser.add_argument('--split', default='val', help='list in ImageSets/Segmentation')
    parser.add_argument('--num', type=int, default=40, help='images to compare')
    parser.add_argument('--num-timed', type=int, default=8, help='images to time')
    parser.add_argument('--size', type=int, default=321)
    parser.add_argument('--threads', type=int, default=2)
    add_device(parser)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--out', type=Path, default=RESULT)
    parser.add_argument('--memory-of', help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print_peak_memory(args.size, args.memory_of)
        return
    generator = torch.Generator().manual_seed(0)
    split = args.data_root / 'ImageSets' / 'Segmentation' / f'{args.split}.txt'
    images = []
    for name in split.read_text().split()[: args.num]:
        img, mask = load(args.data_root, name, args.size)
        scores, exists = cam_like(mask, generator)
        prob = network_like(mask, generator)
        images.append({'img': img, 'prob': prob, 'scores': scores, 'exists': exists})
    step = max(1, len(images) // args.num_timed)
    timed = images[::step][: args.num_timed]
    result = {
        'machine': machine(args) | {'load': os.getloadavg()[0]},
        'images': len(images),
        'timed_images': len(timed),
        'labels_of_timed_images': [int(p['exists'].sum()) for p in timed],
        'size': args.size,
        'num_iters': 10,
        'seconds': time_one(timed, args.repeats),
        'batch_seconds': time_batch(timed, args),
        'agreement': compare(images),
        'memory_mib': {b: peak_memory(args, b) for b in ('torch', 'pydensecrf')},
    }
    show(result)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
