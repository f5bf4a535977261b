"""Lay out COCO-Stuff 10K (v1.1) for mmseg's ``COCOStuffDataset``, with image tags.

    python tools/dataset_converters/coco_stuff10k.py downloads/cocostuff-10k-v1.1.zip \
        -o data/coco_stuff10k

Layout and content are those of mmseg's converter of the same name (0 unlabeled, 1 to
171 the classes), and files that it has written are kept. In addition, this converter
unpacks the archive, resumes after an interruption, writes files atomically, reports
invalid labels, and writes ``train.txt``, ``test.txt``, ``tags_train.json`` and
``tags_test.json``.
"""

import argparse
import os
import runpy
import shutil
import sys
from functools import partial
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import numpy as np
from mmseg.datasets import COCOStuffDataset
from scipy.io import loadmat

from mmseg_wsss.datasets.label_maps import LabelRule, write_label_map
from mmseg_wsss.datasets.splits.split_lists import read_list, write_list
from mmseg_wsss.datasets.tags import tags_from_masks
from mmseg_wsss.utils.archives import unpacked
from mmseg_wsss.utils.files import atomic_write
from mmseg_wsss.utils.launch import ToolParser, one_line_errors
from mmseg_wsss.utils.parallel import parallel_map

SPLITS = {'train': 9000, 'test': 1000}
CLASSES = COCOStuffDataset.METAINFO['classes']
SUFFIX = '_labelTrainIds.png'
# COCO ids between 1 and 182 that have no class.
UNUSED_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='folder or archive of COCO-Stuff 10K')
    parser.add_argument('-o', '--out', type=Path, help='default: the source folder')
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    parser.add_argument(
        '--overwrite', action='store_true', help='write existing masks again'
    )
    parser.add_argument(
        '--any-size',
        action='store_true',
        help='accept other numbers of images than 9000 and 1000',
    )
    return parser.parse_args(argv)


def train_ids() -> np.ndarray:
    """Return the label of each COCO id 0 to 182; 255 for unused ids."""
    table = np.full(183, 255, dtype=np.uint8)
    ids = [number for number in range(183) if number not in UNUSED_IDS]
    table[ids] = np.arange(len(ids))
    return table


def find_root(folder: Path) -> Path:
    """Find the folder with ``images``, ``annotations`` and ``imageLists``."""
    for found in (folder, *sorted(p.parent for p in folder.glob('*/imageLists'))):
        if (found / 'imageLists/train.txt').is_file():
            return found
    raise FileNotFoundError(f'{folder}: no folder with imageLists/train.txt was found')


def read_labels(path: Path) -> np.ndarray:
    """Read the labels (H, W) in [0, 171] of an annotation.

    Raises:
        ValueError: If the file is broken or contains unused ids; the message names it.
    """
    try:
        ids = loadmat(path, variable_names=['S'])['S'].astype(np.int64)
    except Exception as error:  # loadmat raises errors of many types
        raise ValueError(
            f'{path}: not an annotation of COCO-Stuff: {error!r}'
        ) from error
    bad = np.unique(ids[(ids < 0) | (ids > 182) | np.isin(ids, UNUSED_IDS)])
    if bad.size:
        raise ValueError(f'{path}: ids {bad.tolist()} are not classes')
    return train_ids()[ids]


def convert(
    name: str, source: Path, out: Path, part: str, overwrite: bool
) -> str | None:
    """Write one image and its mask; return a message if that fails."""
    image = out / f'images/{part}/{name}.jpg'
    mask = out / f'annotations/{part}/{name}{SUFFIX}'
    try:
        if overwrite or not mask.exists():
            write_label_map(mask, read_labels(source / f'annotations/{name}.mat'))
        if not image.exists():
            place(source / f'images/{name}.jpg', image)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def place(source: Path, target: Path) -> None:
    """Create a hard link to a file if possible, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(os.path.realpath(source), target)
    except FileNotFoundError:
        raise
    except OSError:
        with open(source, 'rb') as file, atomic_write(target) as copy:
            shutil.copyfileobj(file, copy)


def run(args: argparse.Namespace) -> None:
    """Write the images, masks, lists and tags of both splits.

    Raises:
        ValueError: If the number of images is wrong or annotations are unusable.
        FileNotFoundError: If the source is not COCO-Stuff 10K.
    """
    source = find_root(unpacked(args.source))
    out = args.out or source
    for split, expected in SPLITS.items():
        names = read_list(source / f'imageLists/{split}.txt')
        if len(names) != expected and not args.any_size:
            raise ValueError(
                f'{source}: expected {expected} images in {split}, found '
                f'{len(names)}; --any-size accepts it'
            )
        part = f'{split}2014'
        work = partial(
            convert, source=source, out=out, part=part, overwrite=args.overwrite
        )
        results = parallel_map(work, names, args.workers, f'writing {split}', True)
        problems = [problem for problem in results if problem]
        if problems:
            raise ValueError('\n'.join([f'{len(problems)} unusable files:', *problems]))
        write_list(out / f'{split}.txt', names)
        tags = tags_from_masks(
            out / 'annotations' / part,
            CLASSES,
            LabelRule(len(CLASSES), background=False, reduce_zero_label=True),
            suffix=SUFFIX,
            workers=args.workers,
            progress=True,
            images=names,
            allow_empty=True,
        )
        tags.save(out / f'tags_{split}.json')
        print(f'{out / f"tags_{split}.json"}: {len(tags)} images')


@one_line_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    run(args)
    return 0


if __name__ == '__main__':
    sys.exit(main())
