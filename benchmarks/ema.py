"""Mean teacher of a ResNet-101 DeepLabV3+: update_ema against MMEngine's averaging.

    python benchmarks/ema.py

MMEngine's ``ExponentialMovingAverage`` updates one tensor after the other; both average
parameters and floating buffers. Times are the fastest of ``--repeats`` runs, in which
both take turns; with other programs running, CPU time is more reliable than wall time.
Prints a table and writes ``benchmarks/results/ema.json``.
"""

import argparse
import json
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage, revert_sync_batchnorm
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest
from torch import nn

from mmseg_wsss import config_path
from mmseg_wsss.models.utils import update_ema
from mmseg_wsss.pipelines.measure import machine
from mmseg_wsss.registry import MODELS

CONFIG = config_path('mkd/mkd_r101_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py')
RESULT = Path(__file__).parent / 'results' / 'ema.json'
MOMENTUM = 0.004


def build(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    cfg = Config.fromfile(CONFIG).model.segmentor
    cfg.backbone.init_cfg = None
    return revert_sync_batchnorm(MODELS.build(cfg))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--threads', type=int, default=1)
    add_device(parser)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope('mmseg')
    student, teacher = (build(seed).to(args.device) for seed in (0, 1))
    averaged = ExponentialMovingAverage(teacher, MOMENTUM, update_buffers=True)
    averaged.steps.fill_(1)  # the first update copies
    calls = {
        'mmengine': lambda: averaged.update_parameters(student),
        'ours': lambda: update_ema(teacher, student, 1 - MOMENTUM),
    }
    best = fastest(calls, args.device, args.repeats)
    pairs = zip(averaged.module.state_dict().items(), teacher.state_dict().values())
    gaps = [
        (first - second).abs().max().item()
        for (_, first), second in pairs
        if first.is_floating_point()
    ]
    result = {
        'machine': f'{machine()}, {args.threads} threads, {args.device}',
        'tensors': len(teacher.state_dict()),
        'seconds': best,
        'times_faster': {
            k: best['mmengine'][k] / best['ours'][k] for k in best['ours']
        },
        'largest_difference': max(gaps),
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + '\n')
    table = Table('run', 'wall, ms', 'CPU, ms', title=result['machine'])
    for name, row in best.items():
        table.add_row(name, *(f'{1e3 * row[key]:.1f}' for key in ('wall', 'cpu')))
    Console().print(table)
    print(f'{result["times_faster"]["cpu"]:.2f} times faster (CPU time)')


if __name__ == '__main__':
    main()
