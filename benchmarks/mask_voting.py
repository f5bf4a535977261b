"""Effect of class-free masks on pseudo-masks: superpixels that vote.

    pip install -r requirements/benchmarks.txt
    python benchmarks/mask_voting.py --data-root data/voc-mini/VOC2012 \
        --pseudo work_dirs/cam_vocmini/masks

Needs images with masks in VOC layout and exported pseudo-masks of them. For voc-mini
these come from ``configs/cam/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225.py``, exported
with ``tools/export_pseudo_labels.py --source cam``. Each set of masks is written to
files and imported as by ``tools/import_masks.py --class-free --min-coverage 0``; the
voted masks of all images are compared with the ground truth. ``true regions`` are the
connected regions of the ground truth without their classes, the best possible masks.
``rank correlation`` is Spearman's, over images, between the disagreement of pseudo-mask
and voted mask and the true error of the pseudo-mask (both 1 - mIoU).
Prints a table and writes ``benchmarks/results/mask_voting.json``.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from skimage import __version__ as skimage_version
from skimage.segmentation import felzenszwalb, slic
from timing import machine

from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.splits.split_lists import read_list
from mmseg_wsss.datasets.tags import ImageTags, tags_from_masks
from mmseg_wsss.datasets.tags.class_names import class_names
from mmseg_wsss.evaluation import disagreement
from mmseg_wsss.evaluation.tables import summary_table
from mmseg_wsss.pipelines.import_inputs import ImportSettings
from mmseg_wsss.pipelines.import_masks import import_masks
from mmseg_wsss.pipelines.label_files import evaluate_label_files

RESULT = Path(__file__).parent / 'results' / 'mask_voting.json'
CLASSES = class_names('voc')
NUM_CLASSES = len(CLASSES) + 1
Numbers = Callable[[np.ndarray, np.ndarray], np.ndarray]


def slic_numbers(num: int, img: np.ndarray, gt: np.ndarray) -> np.ndarray:
    return slic(img, n_segments=num, compactness=10, start_label=1)


def felzenszwalb_numbers(scale: int, img: np.ndarray, gt: np.ndarray) -> np.ndarray:
    return felzenszwalb(img, scale=scale, sigma=0.5, min_size=50) + 1


def true_numbers(img: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Number the connected regions of every label; unlabeled pixels get 0."""
    numbers, count = np.zeros(gt.shape, np.int32), 0
    for label in np.unique(gt[gt != 255]):
        num, parts = cv2.connectedComponents((gt == label).astype(np.uint8))
        numbers[parts > 0] = parts[parts > 0] + count
        count += num - 1
    return numbers


MASKS: dict[str, Numbers] = {
    'SLIC, 100': partial(slic_numbers, 100),
    'SLIC, 400': partial(slic_numbers, 400),
    'Felzenszwalb, 200': partial(felzenszwalb_numbers, 200),
    'true regions': true_numbers,
}


def scores_of(folder: Path, args: argparse.Namespace, names: list[str]) -> dict:
    truth = args.data_root / 'SegmentationClass'
    return evaluate_label_files(folder, truth, names, NUM_CLASSES).summary()


def true_errors(args: argparse.Namespace, names: list[str]) -> list[float]:
    """Return 1 - mIoU of the pseudo-mask of each image."""
    truth = args.data_root / 'SegmentationClass'
    pairs = (
        [
            read_label_map(folder / f'{name}.png').astype(np.int64)
            for folder in (args.pseudo, truth)
        ]
        for name in names
    )
    return [disagreement(pseudo, gt, NUM_CLASSES)[0] for pseudo, gt in pairs]


def rank_correlation(first: list[float], second: list[float]) -> float:
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def measure(
    numbers: Numbers, args: argparse.Namespace, tags: ImageTags, names: list[str]
) -> dict:
    """Write the masks of all images, import them, and score the result."""
    images = args.data_root / 'JPEGImages'
    with TemporaryDirectory() as folder:
        masks, out = Path(folder, 'masks'), Path(folder, 'out')
        masks.mkdir()
        counts, begin = [], time.process_time()
        for name in names:
            img = cv2.imread(str(images / f'{name}.jpg'))[..., ::-1]
            gt = read_label_map(args.data_root / f'SegmentationClass/{name}.png')
            regions = numbers(img, gt)
            np.savez_compressed(masks / f'{name}.npz', regions)
            counts.append(len(np.unique(regions[regions > 0])))
        made = time.process_time()
        settings = ImportSettings(
            CLASSES, class_free=True, keep_uncovered=True, min_coverage=0.0
        )
        report = import_masks(
            masks, images, tags, out, settings, pseudo=args.pseudo, names=names
        )
        seconds = time.process_time() - made
        scores = scores_of(out / 'masks', args, names)
    found = [record['disagreement'] for record in report['records']]
    rows = report['classes'].values()
    tagged, shown = (sum(row[key] for row in rows) for key in ('tagged', 'shown'))
    return {
        **scores,
        'masks per image': round(float(np.mean(counts)), 1),
        'tags shown': round(100 * shown / tagged, 2),
        'disagreement': round(report['disagreement'], 4),
        'rank correlation': round(rank_correlation(found, true_errors(args, names)), 3),
        'CPU s, masks': round(made - begin, 1),
        'CPU s, import': round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data-root', type=Path, required=True)
    parser.add_argument('--pseudo', type=Path, required=True)
    parser.add_argument('--list', default='ImageSets/Segmentation/train.txt')
    parser.add_argument('--limit', type=int, help='use the first images only')
    parser.add_argument('--masks', nargs='+', choices=MASKS, default=list(MASKS))
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    names = read_list(args.data_root / args.list)[: args.limit]
    tags = tags_from_masks(args.data_root / 'SegmentationClass', CLASSES, images=names)
    rows = {'pseudo-masks': scores_of(args.pseudo, args, names)}
    for key in args.masks:
        rows[key] = measure(MASKS[key], args, tags, names)
        print(summary_table({key: rows[key]}), flush=True)
    manifest = args.pseudo / 'manifest.json'
    result = {
        'command': shlex.join(['python', 'benchmarks/mask_voting.py', *sys.argv[1:]]),
        'machine': machine(args),
        'scikit-image': skimage_version,
        'images': len(names),
        'seed': 'the superpixels have none; pseudo-masks: seed 0 of their training',
        'pseudo-masks': json.loads(manifest.read_text()) if manifest.exists() else None,
        'results': rows,
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + '\n')
    print(summary_table(rows))


if __name__ == '__main__':
    main()
