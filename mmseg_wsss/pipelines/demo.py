"""Shared parts of the demos in tools/."""

import argparse
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.configs import walk_dicts
from mmseg_wsss.utils.launch import ToolParser

from .comparison import set_steps
from .measure import machine, measure

# Iterations in param_scheduler, custom_hooks and default_hooks.
TIMES = ('begin', 'end', 'iters', 'interval', 'period')


def parse_args(description: str | None, out: str) -> argparse.Namespace:
    """Parse the command line of a demo."""
    parser = ToolParser(description=description)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(out),
        help='folder of the results; default: %(default)s',
    )
    parser.add_argument(
        '--shorten',
        type=int,
        default=1,
        metavar='N',
        help='divide all numbers of iterations by N, for a trial; default: 1',
    )
    args = parser.parse_args()
    if args.shorten < 1:
        parser.error(f'--shorten must be at least 1, got {args.shorten}')
    return args


def shortened(cfg: Config, divisor: int) -> Config:
    """Return a config with all numbers of iterations divided by ``divisor``.

    These are ``train_cfg.max_iters`` and ``val_interval``, the learning rate schedule,
    the checkpoint interval, and the iterations in the hooks of the method.

    Raises:
        ValueError: If no iteration is left.
    """
    cfg = deepcopy(cfg)
    if divisor > cfg.train_cfg.max_iters:
        raise ValueError(
            f'--shorten {divisor} leaves none of the {cfg.train_cfg.max_iters} '
            f'iterations of {cfg.filename}; give a smaller number'
        )
    cfg.train_cfg.max_iters //= divisor
    cfg.train_cfg.val_interval = max(cfg.train_cfg.val_interval // divisor, 1)
    parts = [cfg.param_scheduler, cfg.custom_hooks, cfg.default_hooks.checkpoint]
    for part in walk_dicts([divided for divided in parts if divided]):
        for key in TIMES:
            if part.get(key):
                part[key] = max(part[key] // divisor, 1)
    return cfg


def train(
    config: str,
    work_dir: Path,
    divisor: int = 1,
    options: Mapping[str, Any] | None = None,
    sources: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    steps: int | None = None,
) -> dict[str, Any]:
    """Train and measure a config, and show the progress in place of the log.

    Args:
        config: Config file.
        work_dir: Folder of checkpoints, logs and the result.
        divisor: See :func:`shortened`.
        options: Values that override the config.
        sources: See :func:`measure`.
        settings: See :func:`measure`.
        steps: Number of steps before the division, in place of the config's.

    Returns:
        Result of :func:`measure`, with ``checkpoint`` and ``steps``.
    """
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(dict(options or {}))
    if steps is not None:
        set_steps(cfg, steps)
    cfg = shortened(cfg, divisor)
    hooks = [*(cfg.get('custom_hooks') or []), {'type': 'ProgressBarHook'}]
    values = {
        'log_level': 'ERROR',
        'custom_hooks': hooks,
        'param_scheduler': cfg.param_scheduler,
        'train_cfg': cfg.train_cfg,
        'default_hooks.checkpoint': cfg.default_hooks.checkpoint,
    }
    result = measure(config, work_dir, sources, settings, {**(options or {}), **values})
    steps = cfg.train_cfg.max_iters
    return result | {'steps': steps, 'checkpoint': str(work_dir / f'iter_{steps}.pth')}


def finish(
    out: Path,
    scores: Mapping[str, float],
    rows: Sequence[tuple[str, ...]],
    results: Mapping[str, Mapping[str, Any]],
    steps: Mapping[str, int],
) -> None:
    """Write ``summary.json`` and print the table of the results.

    Args:
        out: Folder of the results.
        scores: mIoU in percent by key.
        rows: Cells of each row; the last one is a key of ``scores``.
        results: Results of the trainings.
        steps: Number of steps of each training, without those of its start.
    """
    seconds = sum(round(result['seconds']) for result in results.values())
    summary: dict[str, Any] = {key: round(v / 100, 4) for key, v in scores.items()}
    summary |= {'steps': dict(steps), 'train_seconds': seconds, 'machine': machine()}
    with atomic_write(out / 'summary.json', 'w') as file:
        json.dump(summary, file, indent=1)
    table = Table('mIoU of', 'on', 'value')
    for *cells, key in rows:
        table.add_row(*cells, f'{summary[key]:.3f}')
    console = Console()
    console.print(table)
    console.print(f'trained {seconds} s on {summary["machine"]}', soft_wrap=True)
    console.print(f'results: {out}/summary.json', soft_wrap=True)
