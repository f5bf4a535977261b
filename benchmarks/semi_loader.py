"""Throughput of the two-view pipeline, against loading each view by itself.

    python benchmarks/semi_loader.py

The pipelines are those of configs/_base_/datasets/{voc12,cityscapes}_semi.py, on
generated images of the size and kind of the real ones. Loading each view by itself
decodes, rescales, crops and flips the image twice, from the same seed: the weak views
of both ways are equal. One process loads; of each image the fastest of ``--repeats``
passes counts, in which both ways take turns. Prints a table and writes
``benchmarks/results/semi_loader.json``.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table

from mmseg_wsss import config_path
from mmseg_wsss.datasets.sample_key import seeded
from mmseg_wsss.pipelines.measure import machine

RESULT = Path(__file__).parent / 'results' / 'semi_loader.json'
# Config, height, width and suffix of its images.
CASES = {
    'VOC': ('voc12_semi', 375, 500, '.jpg'),
    'Cityscapes': ('cityscapes_semi', 1024, 2048, '.png'),
}
VIEWS = ('unsup_weak', 'unsup_strong')
Views = list[torch.Tensor]


def write_image(path: Path, height: int, width: int, seed: int) -> None:
    """A smooth image with a little noise, which compresses about as photographs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 4, smooth.shape)
    cv2.imwrite(str(path), (smooth + noise).clip(0, 255).astype(np.uint8))


def ways(config: str) -> dict[str, Callable[[dict], Views]]:
    """How to get both views of an image: decoded once, or for each view."""
    cfg = Config.fromfile(config_path(f'_base_/datasets/{config}.py'))
    *shared, branching = cfg.unlabeled_pipeline
    once = Compose([*shared, branching])
    each = [Compose([*shared, *branching[view]]) for view in VIEWS]

    def both(info: dict) -> Views:
        with seeded(0, info['number']):
            found = once(info.copy())['inputs']
        return [found[view] for view in VIEWS]

    def one_by_one(info: dict) -> Views:
        found = []
        for pipeline in each:
            with seeded(0, info['number']):
                found.append(pipeline(info.copy())['inputs'])
        return found

    return {'decoded once': both, 'each view by itself': one_by_one}


def measure(case: str, folder: Path, images: int, repeats: int) -> dict:
    """Milliseconds and images a second of both ways."""
    config, height, width, suffix = CASES[case]
    infos = []
    for number in range(images):
        path = folder / f'{case}_{number}{suffix}'
        write_image(path, height, width, number)
        infos.append({'img_path': str(path), 'number': number})
    calls = ways(config)
    best = {way: np.full(images, np.inf) for way in calls}
    for _ in range(repeats):
        for number, info in enumerate(infos):
            weak = []
            for way, call in calls.items():
                start = time.process_time()
                views = call(info)
                seconds = time.process_time() - start
                best[way][number] = min(best[way][number], seconds)
                weak.append(views[0])
            assert torch.equal(*weak)
    mean = {way: float(seconds.mean()) for way, seconds in best.items()}
    once, each = mean.values()
    return {
        'image': f'{width}x{height} {suffix[1:]}',
        'milliseconds': {way: 1e3 * seconds for way, seconds in mean.items()},
        'images_per_second': {way: 1 / seconds for way, seconds in mean.items()},
        'times_faster': each / once,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, default=20)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    init_default_scope('mmseg')
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        results = {
            case: measure(case, Path(folder), args.images, args.repeats)
            for case in CASES
        }
    table = Table('images', 'way', 'CPU, ms an image', 'images/s', 'times faster')
    for case, result in results.items():
        for way, milliseconds in result['milliseconds'].items():
            table.add_row(
                f'{case}, {result["image"]}',
                way,
                f'{milliseconds:.1f}',
                f'{result["images_per_second"][way]:.1f}',
                f'{result["times_faster"]:.2f}' if way == 'decoded once' else '1',
            )
    Console().print(table)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        'machine': machine(),
        'images': args.images,
        'repeats': args.repeats,
        'results': results,
    }
    args.out.write_text(json.dumps(report, indent=1) + '\n')


if __name__ == '__main__':
    main()
