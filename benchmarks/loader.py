"""Images a second and core of the training pipelines, and cores that one GPU needs.

    python benchmarks/loader.py
    python benchmarks/loader.py --only mkd --count

One config of each method, backbone, data set and crop, on generated images with the
size and format of the data set's. One process loads; the transfer from a worker to the
training is not included. The CPU time of an image is the fastest of ``--repeats``
passes; labeled and unlabeled images have equal weights, as in the batches. ``views`` is
the speedup from making all views of an unlabeled image from one decoded and cropped
image, instead of each by itself.

``cores`` is the number of images per second of a GPU at ``--tflops`` tera-operations
per second, divided by a core's. The operations of a step are counted
(``published.step_tflop``) with ``--count`` or if the result file lacks them. On a GPU,
losses, refiners, CRFs and launches take additional time, so fewer cores suffice. Prints
a table and writes ``benchmarks/results/loader.json``.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import published
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from timing import machine

from mmseg_wsss.datasets import SemiDataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests'))

from helpers.methods import METHODS

RESULT = Path(__file__).parent / 'results' / 'loader.json'
LONGEST = 3  # transforms in the table


class Clock:
    """Sum of the CPU seconds of each transform, without nested transforms."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.inside = 0.0

    def watch(self, pipeline: Any, prefix: str = '') -> None:
        """Time the transforms of a pipeline, and of its branches by their names."""
        for step in pipeline.transforms:
            for branch, views in getattr(step, 'branches', {}).items():
                self.watch(views, f'{branch}/')
            step.transform = self._timed(prefix + label(step), step.transform)

    def _timed(self, name: str, call: Callable) -> Callable:
        def run(results: dict) -> Any:
            outer, self.inside = self.inside, 0.0
            start = time.process_time()
            try:
                return call(results)
            finally:
                spent = time.process_time() - start
                self.seconds[name] += spent - self.inside
                self.inside = outer + spent

        return run


def label(step: BaseTransform) -> str:
    """Return the name of a transform, or of the only one inside a ``RandomApply``."""
    inner = getattr(step, 'transforms', None)
    only = type(step).__name__ == 'RandomApply' and len(inner.transforms) == 1
    return type(inner.transforms[0] if only else step).__name__


def measure(cfg: Config, data: str, folder: Path, images: int, repeats: int) -> dict:
    """Return milliseconds per image and transform, and images per second."""
    dataset = published.build_dataset(cfg, folder, data)
    semi = isinstance(dataset, SemiDataset)
    parts = dataset.parts if semi else {'': dataset}
    clock = Clock()
    for part in parts.values():
        clock.watch(part.pipeline)
    best: dict[str, list[float]] = {part: [np.inf] * images for part in parts}
    steps: dict[str, list[dict]] = {part: [{}] * images for part in parts}
    for _ in range(repeats):
        for place, part in enumerate(parts):
            for n in range(images):
                clock.seconds.clear()
                start = time.process_time()
                published.draw(dataset, n + place * images, n)
                spent = time.process_time() - start
                if spent < best[part][n]:
                    best[part][n] = spent
                    steps[part][n] = dict(clock.seconds)
    result: dict[str, Any] = {
        'image': '{1}x{0} {2}'.format(*published.IMAGES[data]).replace(' .', ' '),
        'milliseconds': 1e3 * float(np.mean([*best.values()])),
        'transforms': mean_of([step for part in parts for step in steps[part]]),
    }
    result['images_per_second'] = 1e3 / result['milliseconds']
    if semi:
        result['views'] = gain_of_views(mean_of(steps['unlabeled']))
    return result


def mean_of(steps: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean milliseconds of each transform, longest first."""
    names = {name for step in steps for name in step}
    mean = {n: 1e3 * float(np.mean([s.get(n, 0) for s in steps])) for n in names}
    return dict(sorted(mean.items(), key=lambda item: -item[1]))


def gain_of_views(steps: dict[str, float]) -> float:
    """Return the speedup of views that share an image over separate ones."""
    views = {name.split('/')[0] for name in steps if '/' in name}
    shared = sum(spent for name, spent in steps.items() if '/' not in name)
    total = sum(steps.values())
    return (total + (len(views) - 1) * shared) / total


def operations(cfg: Config, data: str, folder: Path) -> float | None:
    """Return 10^12 operations of a step per image; None if a package is missing."""
    method = METHODS.get(cfg.model.type)
    phase = method.phases[-1] if method else {}
    try:
        for module in cfg.get('custom_imports', {}).get('imports', ()):
            __import__(module)
    except ImportError as error:
        print(f'operations not counted: {error}')
        return None
    return published.step_tflop(cfg, folder, data, phase)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--only',
        default='',
        help='only configs with this text in their path; saved only with --out',
    )
    parser.add_argument('--images', type=int, default=16)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--tflops', type=float, default=100)
    parser.add_argument('--count', action='store_true', help='count operations again')
    parser.add_argument('--bmp', action='store_true', help='PNG images as BMP')
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    args.threads = 1
    warnings.filterwarnings('ignore')
    logging.disable(logging.INFO)
    init_default_scope('mmseg')
    published.set_threads_of_workers()
    if args.bmp:
        published.use_bmp()
    saved = json.loads(args.out.read_text())['results'] if args.out.is_file() else {}
    measured: dict[str, dict] = {}
    results: dict[str, dict] = {}
    configs = published.published_configs(args.only)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        published.write_images(folder, args.images)
        for path, cfg in configs.items():
            data = published.images_of(Path(path))
            key = published.pipeline_key(cfg)
            if key not in measured:
                measured[key] = measure(cfg, data, folder, args.images, args.repeats)
            tflop = saved.get(path, {}).get('tflop_per_image')
            if tflop is None or args.count:
                tflop = operations(cfg, data, folder)
            results[path] = measured[key] | {'tflop_per_image': tflop}
            if tflop:
                gpu = args.tflops / tflop
                cores = gpu / results[path]['images_per_second']
                results[path] |= {'gpu_images_per_second': gpu, 'cores': cores}
    report = {'machine': machine(args), 'tflops': args.tflops, 'results': results}
    if not (args.only or args.bmp) or args.out != RESULT:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(report, indent=1) + '\n')
    Console(width=150).print(table_of(results))


def table_of(results: dict[str, dict]) -> Table:
    """Return a table with one row per config."""
    columns = ('config', 'images/s/core', 'longest', 'views', 'GPU images/s', 'cores')
    table = Table(*columns)
    for path, row in results.items():
        longest = [
            f'{name} {spent / row["milliseconds"]:.0%}'
            for name, spent in list(row['transforms'].items())[:LONGEST]
        ]
        numbers = [
            f'{row[key]:.1f}' if key in row else '-'
            for key in ('views', 'gpu_images_per_second', 'cores')
        ]
        speed = f'{row["images_per_second"]:.0f}'
        table.add_row(Path(path).stem, speed, ', '.join(longest), *numbers)
    return table


if __name__ == '__main__':
    main()
