"""Forward and backward pass of a MobileNetV2 DeepLabV3+, plain and faster.

    python benchmarks/efficient_conv.py

The network of the runs on voc-mini, with frozen batch norm, without and with
``EfficientConvHook``, and with both the hook and autocast to bfloat16, as by
``BFloat16OptimWrapper``: 4 images of 225 pixels by default. Times are the fastest of
``--repeats`` runs, which take turns; with other programs running, CPU time is more
reliable than wall time. Prints a table and writes
``benchmarks/results/efficient_conv.json``.
"""

import argparse
import copy
import json
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest
from torch import Tensor, nn

from mmseg_wsss import config_path
from mmseg_wsss.engine.hooks.efficient_conv_hook import make_efficient
from mmseg_wsss.pipelines.measure import machine
from mmseg_wsss.registry import MODELS

CONFIG = config_path('_base_/models/deeplabv3plus_mobilenet-v2.py')
RESULT = Path(__file__).parent / 'results' / 'efficient_conv.json'


def step(network: nn.Module, images: Tensor, bfloat16: bool = False) -> Tensor:
    network.zero_grad()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        logits = network(images)
    logits.float().square().mean().backward()
    return logits.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--batch', type=int, default=4)
    add_device(parser)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIG).segmentor
    cfg.backbone.init_cfg, cfg.decode_head.dropout_ratio = None, 0
    plain = MODELS.build(cfg).to(args.device).train()
    efficient = copy.deepcopy(plain)
    make_efficient(efficient)
    images = torch.randn(args.batch, 3, 225, 225, device=args.device)
    first, second = step(plain, images), step(efficient, images)
    gap = ((first - second).abs().max() / first.abs().max()).item()
    calls = {'plain': lambda: step(plain, images)}
    calls['efficient'] = lambda: step(efficient, images)
    calls['efficient, bfloat16'] = lambda: step(efficient, images, True)
    best = fastest(calls, args.device, args.repeats)
    plain_time = best['plain']
    faster = {
        name: {k: plain_time[k] / row[k] for k in row}
        for name, row in best.items()
        if name != 'plain'
    }
    result = {
        'machine': f'{machine()}, {args.threads} threads, {args.device}',
        'batch': args.batch,
        'seconds': best,
        'times_faster': faster,
        'largest_relative_difference': gap,
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + '\n')
    table = Table('run', 'wall, ms', 'CPU, ms', title=result['machine'])
    for name, row in best.items():
        table.add_row(name, *(f'{1e3 * row[key]:.0f}' for key in ('wall', 'cpu')))
    Console().print(table)
    for name, row in faster.items():
        print(f'{name}: {row["cpu"]:.2f} times faster (CPU time)')
    print(f'in float32 the logits differ by {gap:.1e} of the largest')


if __name__ == '__main__':
    main()
