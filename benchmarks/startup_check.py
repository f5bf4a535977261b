"""CPU seconds before the first step: datasets and the start-up check.

    python benchmarks/startup_check.py

It takes the weakly and semi-supervised configs of voc-mini, and the same configs with
lists of ``--images`` generated files (COCO's number and size of images, all links to a
few). ``plain`` is mmseg's dataset alone, ``datasets`` the training data of this
package with its checks of lists, names and tags, ``check`` the start-up check. Of
``--repeats`` runs the fastest counts. Writes ``benchmarks/results/startup_check.json``.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from rich.console import Console
from rich.table import Table

from mmseg_wsss import config_path
from mmseg_wsss.engine.startup_check import find_problems
from mmseg_wsss.pipelines.measure import machine
from mmseg_wsss.registry import DATASETS

RESULT = Path(__file__).parent / 'results' / 'startup_check.json'
CONFIGS = {
    'weak': 'asdt/asdt_mobilenet-v2_1xb8-600_wsss-voc-mini-225.py',
    'semi': 'mkd/mkd_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py',
}
LINKS = 30_000  # per file; file systems allow about 65,000
COCO_SIZE = (640, 480)


class MeasuredError(Exception):
    """Raised after measuring the check, so that the training does not begin."""


class TimedCheck(Hook):
    """Run the check and end the training."""

    priority = 0

    def before_train(self, runner: Runner) -> None:
        started = time.process_time()
        problems = list(find_problems(runner))
        raise MeasuredError(time.process_time() - started, problems)


def write_files(folder: Path, count: int) -> list[str]:
    """Write images, masks, lists and tags of ``count`` images; return their names."""
    names = [f'{number:012d}' for number in range(count)]
    rng = np.random.default_rng(0)
    for part, suffix in (('images', '.jpg'), ('masks', '.png')):
        (folder / part).mkdir()
        for start in range(0, count, LINKS):
            first = folder / part / f'{names[start]}{suffix}'
            mask = rng.integers(0, 21, COCO_SIZE[::-1]).astype(np.uint8)
            image = Image.fromarray(mask)
            (image if suffix == '.png' else image.convert('RGB')).save(first)
            for name in names[start + 1 : start + LINKS]:
                (folder / part / f'{name}{suffix}').hardlink_to(first)
    few = count // 32
    lists = {'all': names, 'labeled': names[:few], 'unlabeled': names[few:]}
    for name, part in lists.items():
        (folder / f'{name}.txt').write_text('\n'.join(part) + '\n')
    return names


def coco_sized(name: str, folder: Path, names: list[str]) -> Config:
    """Return a config of voc-mini with the generated files as training data."""
    cfg = Config.fromfile(config_path(CONFIGS[name]))
    dataset = cfg.train_dataloader.dataset
    meta = DATASETS.get('PascalVOCDataset').METAINFO
    source = {
        'type': 'BaseSegDataset',
        'metainfo': meta,
        'data_root': str(folder),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
    }
    if name == 'weak':
        classes = meta['classes'][1:]
        tags = {n: [classes[i % len(classes)]] for i, n in enumerate(names)}
        (folder / 'tags.json').write_text(json.dumps(tags))
        dataset.dataset = {**source, 'ann_file': 'all.txt'}
        dataset.tags = {'path': str(folder / 'tags.json')}
        return cfg
    dataset.pop('split')
    for part in ('labeled', 'unlabeled'):
        pipeline = dataset[part].pipeline
        dataset[part] = {**source, 'ann_file': f'{part}.txt', 'pipeline': pipeline}
    return cfg


def plain(cfg: Config) -> None:
    """Build only mmseg's datasets."""
    dataset = cfg.train_dataloader.dataset
    for part in ('dataset', 'labeled', 'unlabeled'):
        if part in dataset:
            settings = {'pipeline': []}
            if dataset.get('split'):
                settings['ann_file'] = f'{dataset.split}/{part}.txt'
            DATASETS.build({**deepcopy(dataset[part]), **settings})


def check_seconds(cfg: Config, work_dir: str) -> float:
    """Return the CPU seconds of the start-up check of a training."""
    cfg = deepcopy(cfg)
    cfg.work_dir, cfg.load_from, cfg.log_level = work_dir, None, 'ERROR'
    # A unique name; otherwise, MMEngine reuses the visualizer of the previous run.
    cfg.visualizer.name = f'check_{time.time_ns()}'
    runner = Runner.from_cfg(cfg)
    runner.register_hook(TimedCheck())
    try:
        runner.train()
    except MeasuredError as error:
        seconds, problems = error.args
    if problems:
        raise ValueError(f'expected no problem, found {problems}')
    return seconds


def fastest(call: Callable[[], object], repeats: int) -> float:
    """Return the smallest CPU time of a call in seconds."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return min(times)


def measure(cfg: Config, repeats: int) -> dict[str, float]:
    """Measure the training data and the start-up check of a config."""
    settings = cfg.train_dataloader.dataset
    with tempfile.TemporaryDirectory() as work_dir:
        seconds = {
            'plain': fastest(lambda: plain(cfg), repeats),
            'datasets': fastest(lambda: DATASETS.build(deepcopy(settings)), repeats),
            'check': min(check_seconds(cfg, work_dir) for _ in range(repeats)),
        }
    return {name: round(value, 3) for name, value in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=118_000)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    init_default_scope('mmseg')
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = write_files(folder, args.images)
        for kind, config in CONFIGS.items():
            voc_mini = Config.fromfile(config_path(config))
            generated = coco_sized(kind, folder, names)
            results[f'{kind}, voc-mini'] = measure(voc_mini, args.repeats)
            results[f'{kind}, {args.images:,} images'] = measure(
                generated, args.repeats
            )
    table = Table('CPU seconds', 'plain', 'datasets', 'check')
    for title, row in results.items():
        table.add_row(title, *(f'{value:.2f}' for value in row.values()))
    Console().print(table)
    report = {'machine': machine(), 'repeats': args.repeats, 'cpu_seconds': results}
    args.out.write_text(json.dumps(report, indent=1) + '\n')


if __name__ == '__main__':
    main()
