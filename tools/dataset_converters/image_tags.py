"""Convert annotations to a tag file in JSON, CSV or text format.

    python tools/dataset_converters/image_tags.py tags.json --voc-xml Annotations \
        --classes voc --list ImageSets/Segmentation/train_aug.txt
    python tools/dataset_converters/image_tags.py tags.csv --masks SegmentationClass \
        --classes voc --workers 8
    python tools/dataset_converters/image_tags.py tags.json --coco instances.json
    python tools/dataset_converters/image_tags.py t.csv --tags t.json --classes a,b

All problems of the source are listed, in which case nothing is written.
"""

import argparse
import runpy
import sys
import warnings
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmseg_wsss.datasets.label_maps import LabelRule
from mmseg_wsss.datasets.splits.split_lists import read_list
from mmseg_wsss.datasets.tags import (
    ImageTags,
    tags_from_coco,
    tags_from_masks,
    tags_from_voc_xml,
)
from mmseg_wsss.datasets.tags.class_names import class_names
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', help='file to write: .json, .csv or .txt')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--masks', help='folder of label maps')
    source.add_argument('--voc-xml', help='folder of VOC annotations')
    source.add_argument('--coco', help='COCO JSON file')
    source.add_argument('--tags', help='other tag file')
    parser.add_argument(
        '--classes',
        help='foreground classes: voc, coco_stuff, a registered data set, a file with '
        'one name per line, or a,b,c; with --coco by default its categories',
    )
    parser.add_argument('--list', help='read only the images of this split list')
    parser.add_argument(
        '--no-background', action='store_true', help='label 0 of the masks is a class'
    )
    parser.add_argument(
        '--reduce-zero-label', action='store_true', help='label 0 means "unlabeled"'
    )
    parser.add_argument(
        '--mask-suffix', default='.png', help='suffix of the mask files'
    )
    parser.add_argument(
        '--min-pixels',
        type=int,
        default=1,
        help='number of pixels that a class needs for its tag',
    )
    parser.add_argument(
        '--skip-difficult', action='store_true', help='ignore difficult objects of VOC'
    )
    parser.add_argument(
        '--skip-unknown', action='store_true', help='ignore names outside --classes'
    )
    parser.add_argument(
        '--index-base',
        type=int,
        choices=(0, 1),
        help='number of the first class, for numeric tags',
    )
    parser.add_argument(
        '--allow-empty', action='store_true', help='images may have no tag'
    )
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    args = parser.parse_args(argv)
    if not (args.classes or args.coco):
        parser.error('--classes is required, except with --coco')
    return args


def read(args: argparse.Namespace) -> ImageTags:
    """Read the tags from the source on the command line."""
    classes = class_names(args.classes) if args.classes else None
    images = read_list(args.list) if args.list else None
    common = {'images': images, 'allow_empty': args.allow_empty}
    if args.coco:
        return tags_from_coco(args.coco, classes, args.skip_unknown, **common)
    if args.voc_xml:
        return tags_from_voc_xml(
            args.voc_xml, classes, args.skip_difficult, args.skip_unknown, **common
        )
    if args.tags:
        return ImageTags.load(args.tags, classes, index_base=args.index_base, **common)
    rule = LabelRule(len(classes), not args.no_background, args.reduce_zero_label)
    return tags_from_masks(
        args.masks,
        classes,
        rule,
        min_pixels=args.min_pixels,
        suffix=args.mask_suffix,
        workers=args.workers,
        progress=True,
        **common,
    )


@one_line_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
    tags = read(args)
    if not len(tags):
        raise ValueError(f'no image was found; {args.out} was not written')
    tags.save(args.out)
    print(f'{args.out}: {len(tags)} images')
    table = Table('class', 'images')
    for name, count in tags.counts().items():
        table.add_row(Text(name), str(count))
    Console().print(table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
