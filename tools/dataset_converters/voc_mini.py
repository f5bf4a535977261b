"""Create voc-mini, 355 images of VOC 2012 with their masks, from a copy of VOC 2012.

    python tools/dataset_converters/voc_mini.py data/VOCdevkit/VOC2012
    export WSSS_SHARED=.  # where the configs of voc-mini look for data/ and weights/

VOC 2012: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ (VOCtrainval_11-May-2012.tar).
Writes ``JPEGImages``, ``SegmentationClass`` and the lists ``train.txt`` (205 images),
``val.txt`` (150), ``trainval.txt``, and of ``train.txt`` ``semi_1_8``, ``semi_1_4`` and
``semi_1_2`` with a labeled and an unlabeled part, and checks every image and mask.
"""

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import numpy as np
from PIL import Image

from mmseg_wsss.datasets.label_maps import (
    IMAGE_ERRORS,
    LabelRule,
    label_digest,
    read_label_map,
)
from mmseg_wsss.datasets.splits.split_lists import read_list, write_list
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import ToolParser, one_line_errors
from mmseg_wsss.utils.progress import track

LISTS = Path(__file__).parent / 'lists/voc-mini'
SPLITS = ('semi_1_8', 'semi_1_4', 'semi_1_2')
FOLDERS = {'JPEGImages': '.jpg', 'SegmentationClass': '.png'}
RULE = LabelRule(20)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('voc', type=Path, help='folder VOC2012, or one above it')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('data/voc-mini/VOC2012'),
        help='folder to write; default: %(default)s',
    )
    return parser.parse_args(argv)


def find_voc(folder: Path) -> Path:
    """Find the folder with the images and masks of VOC 2012."""
    for below in ('.', 'VOC2012', 'VOCdevkit/VOC2012'):
        found = folder / below
        if all((found / name).is_dir() for name in FOLDERS):
            return found
    raise FileNotFoundError(
        f'{folder}: expected the folders {" and ".join(FOLDERS)} of VOC 2012, found '
        'none; name the folder VOC2012 of the unpacked archive'
    )


def copy_files(voc: Path, out: Path, names: Sequence[str]) -> None:
    """Copy the images and masks.

    Raises:
        FileNotFoundError: If the copy of VOC lacks files; the message names the first.
    """
    files = [
        f'{folder}/{name}{suffix}'
        for folder, suffix in FOLDERS.items()
        for name in names
    ]
    missing = [file for file in files if not (voc / file).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{voc / missing[0]}: no such file, and {len(missing) - 1} others of '
            f'{len(files)} are missing; expected the trainval part of VOC 2012'
        )
    for file in track(files, len(files), 'copying'):
        with atomic_write(out / file) as target:
            target.write((voc / file).read_bytes())


def write_lists(folder: Path) -> list[str]:
    """Write all lists and return the names of all images."""
    train, val = (read_list(LISTS / f'{part}.txt') for part in ('train', 'val'))
    names = sorted(train + val)
    lists = {'train': train, 'val': val, 'trainval': names}
    for split in SPLITS:
        labeled = read_list(LISTS / f'{split}_labeled.txt')
        lists[f'{split}/labeled'] = labeled
        lists[f'{split}/unlabeled'] = [n for n in train if n not in set(labeled)]
    for name, content in lists.items():
        write_list(folder / f'{name}.txt', content)
    return names


def check(out: Path) -> int:
    """Check every image and mask, and count the masks that differ from the known ones.

    Raises:
        ValueError: If a file is unreadable, or a mask has unknown labels or differs
            from its image in size; the message names the file.
    """
    different = 0
    lines = (LISTS / 'masks.txt').read_text().splitlines()
    for line in track(lines, len(lines), 'checking'):
        name, known = line.split(maxsplit=1)
        path = out / f'SegmentationClass/{name}.png'
        mask = read_label_map(path)
        if problem := RULE.problem(np.unique(mask)):
            raise ValueError(f'{path}: {problem}')
        image = out / f'JPEGImages/{name}.jpg'
        try:
            with Image.open(image) as opened:
                opened.load()
                size = opened.size
        except IMAGE_ERRORS as error:
            raise ValueError(f'{image}: unreadable image: {error}') from error
        if size != mask.shape[::-1]:
            raise ValueError(f'{path}: {mask.shape[::-1]} pixels, its image has {size}')
        different += label_digest(mask) != known
    return different


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    voc = find_voc(args.voc)
    names = write_lists(args.out / 'ImageSets/Segmentation')
    copy_files(voc, args.out, names)
    different = check(args.out)
    print(f'{args.out}: {len(names)} images with masks, all readable')
    if different:
        print(
            f'{different} masks differ from those of docs/results.md: expect other '
            'figures'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
