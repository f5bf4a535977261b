"""Convert COCO instances to label maps: 0 the background, 1 to 80 the classes.

    python tools/dataset_converters/coco_objects.py data/coco

Reads ``annotations/instances_{train,val}2017.json`` and writes ``masks/PART/*.png``,
``PART.txt`` with the names of all images and ``PART_objects.txt`` with the names of the
images with objects. Labels number the categories in the order of their ids. Smaller
objects cover larger ones. A pixel belongs to a polygon if its center does, to a quarter
of a pixel; COCO's own tools may differ by a pixel along the boundary. Crowds get the
label of their class. An interrupted run resumes when started again.
"""

import argparse
import json
import runpy
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import numpy as np

from mmseg_wsss.datasets.coco_masks import decode_mask
from mmseg_wsss.datasets.label_maps import write_label_map
from mmseg_wsss.datasets.splits.split_lists import write_list
from mmseg_wsss.utils.launch import ToolParser, one_line_errors
from mmseg_wsss.utils.parallel import parallel_map

PARTS = ('train2017', 'val2017')


class AnnotatedImage(NamedTuple):
    """Image with the (area, label, segmentation) of its objects."""

    name: str
    height: int
    width: int
    objects: list[tuple[float, int, list | dict]]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('coco', type=Path, help='folder with annotations/')
    parser.add_argument('--parts', nargs='+', default=PARTS, help='train2017, val2017')
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    parser.add_argument(
        '--overwrite', action='store_true', help='write existing masks again'
    )
    return parser.parse_args(argv)


def read_instances(path: Path) -> list[AnnotatedImage]:
    """Read the images of an annotation file.

    Raises:
        ValueError: If it is not a file of COCO instances; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        ids = sorted(category['id'] for category in content['categories'])
        labels = {number: label for label, number in enumerate(ids, 1)}
        objects = defaultdict(list)
        for item in content['annotations']:
            entry = item['area'], labels[item['category_id']], item['segmentation']
            objects[item['image_id']].append(entry)
        return [
            AnnotatedImage(
                Path(image['file_name']).stem,
                image['height'],
                image['width'],
                objects[image['id']],
            )
            for image in content['images']
        ]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: not a file of COCO instances: {error!r}') from error


def convert(sample: AnnotatedImage, out: Path, overwrite: bool) -> str | None:
    """Write one label map; return a message if that fails."""
    path = out / f'{sample.name}.png'
    if path.exists() and not overwrite:
        return None
    labels = np.zeros((sample.height, sample.width), np.uint8)
    try:
        by_area = sorted(sample.objects, key=lambda item: -item[0])
        for _, label, segmentation in by_area:
            mask = decode_mask(segmentation, sample.height, sample.width)
            labels[mask == 1] = label
        write_label_map(path, labels)
    except (ValueError, OSError) as error:
        return f'{sample.name}: {error}'
    return None


def run(args: argparse.Namespace) -> None:
    """Write the masks and lists of all parts.

    Raises:
        ValueError: If annotations are unusable.
        FileNotFoundError: If there are no annotations.
    """
    for part in args.parts:
        images = read_instances(args.coco / f'annotations/instances_{part}.json')
        out = args.coco / 'masks' / part
        work = partial(convert, out=out, overwrite=args.overwrite)
        results = parallel_map(work, images, args.workers, f'writing {part}', True)
        problems = [problem for problem in results if problem]
        if problems:
            raise ValueError('\n'.join([f'{len(problems)} unusable masks:', *problems]))
        with_objects = [sample for sample in images if sample.objects]
        for name, listed in ((part, images), (f'{part}_objects', with_objects)):
            path = args.coco / f'{name}.txt'
            write_list(path, [sample.name for sample in listed])
            print(f'{path}: {len(listed)} images')


@one_line_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    run(args)
    return 0


if __name__ == '__main__':
    sys.exit(main())
