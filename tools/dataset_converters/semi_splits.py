"""Split a data set into labeled and unlabeled images, or import published lists.

    python tools/dataset_converters/semi_splits.py draw ImageSets/Segmentation \
        --list ImageSets/Segmentation/train_aug.txt --sizes 1/16 1/8 92 --seed 0
    python tools/dataset_converters/semi_splits.py import ImageSets/Segmentation \
        --from UniMatch/splits/pascal --dataset voc
    python tools/dataset_converters/semi_splits.py import data/my/splits \
        --from lists --dataset own
    python tools/dataset_converters/semi_splits.py show

``draw`` draws at random, balanced by class if there are tags, and several times with
``--folds``. ``import`` reads the lists of published repositories in their formats and
identifies the split by its images; ``--dataset own`` reads lists of your own data with
lines such as ``images/a.jpg masks/a.png``. Both write ``FAMILY_SIZE/labeled.txt``,
``unlabeled.txt`` and ``split.json`` below the folder; results on splits of different
families are not comparable. ``show`` prints the published splits.
"""

import argparse
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

from rich.console import Console
from rich.table import Table

from mmseg_wsss.datasets.splits.draw_split import draw_split
from mmseg_wsss.datasets.splits.import_split import OWN, import_split
from mmseg_wsss.datasets.splits.published import PUBLISHED
from mmseg_wsss.datasets.splits.semi_split import SemiSplit
from mmseg_wsss.datasets.splits.split_lists import read_list
from mmseg_wsss.datasets.splits.upstream_lists import UPSTREAM
from mmseg_wsss.datasets.tags import ImageTags, tags_from_masks
from mmseg_wsss.datasets.tags.class_names import class_names
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    commands.add_parser('show', help='list the published splits')
    draw = commands.add_parser('draw', help='draw splits from a seed')
    draw.add_argument('out', type=Path, help='folder to write the splits to')
    draw.add_argument('--list', required=True, help='list of all images')
    draw.add_argument(
        '--sizes', nargs='+', required=True, help='1/16, or a number of images'
    )
    draw.add_argument(
        '--seed', type=int, default=0, help='seed of the draws; default: 0'
    )
    draw.add_argument(
        '--folds', type=int, default=0, help='number of draws of each size'
    )
    draw.add_argument(
        '--balance', metavar='TAGS', help='tag file or folder of masks to balance by'
    )
    draw.add_argument('--classes', help='foreground classes of the tags, e.g. voc')
    load = commands.add_parser('import', help='import published lists')
    load.add_argument('out', type=Path, help='folder to write the splits to')
    load.add_argument(
        '--from',
        dest='source',
        type=Path,
        required=True,
        help='list of labeled images, or a folder of such lists',
    )
    load.add_argument(
        '--dataset',
        choices=(*UPSTREAM, OWN),
        required=True,
        help='data set of the lists; own: any other',
    )
    load.add_argument(
        '--img-folder',
        help='with --dataset own: folder that is removed from names, the img_path of '
        'the config; by default from the masks in the lines',
    )
    load.add_argument(
        '--all', help='list of all images, if there is no list of unlabeled ones'
    )
    load.add_argument('--family', help='family of a split that is not published')
    load.add_argument('--size', help='size of a split that is not published, e.g. 1_16')
    args = parser.parse_args(argv)
    if args.command == 'draw' and args.balance and not args.classes:
        parser.error('--balance needs --classes')
    return args


def draw_all(args: argparse.Namespace) -> Iterator[SemiSplit]:
    """Draw the splits of all sizes and folds."""
    names = read_list(args.list)
    tags = None
    if args.balance:
        classes = class_names(args.classes)
        load = tags_from_masks if Path(args.balance).is_dir() else ImageTags.load
        tags = load(args.balance, classes, images=names, allow_empty=True)
    for fold in range(args.folds) or (None,):
        for size in args.sizes:
            yield draw_split(names, size, args.seed, fold, tags)


def import_all(args: argparse.Namespace) -> Iterator[SemiSplit]:
    """Import a list, or every list of labeled images in a folder."""
    paths = [args.source]
    if args.source.is_dir():
        paths = [
            path
            for path in sorted(args.source.rglob('*.txt'))
            if 'labeled' in path.name and 'unlabeled' not in path.name
        ]
        if not paths:
            raise FileNotFoundError(
                f'{args.source}: no list with "labeled" in its name was found'
            )
    for path in paths:
        other = path.with_name(path.name.replace('labeled', 'unlabeled'))
        yield import_split(
            path,
            args.dataset,
            other if other != path and other.is_file() else None,
            args.all,
            args.family,
            args.size,
            args.img_folder,
        )


def show() -> None:
    """Print the published splits."""
    table = Table('split', 'labeled', 'unlabeled', 'recognized by its images')
    for name, split in PUBLISHED.items():
        recognized = 'yes' if split.digest else 'no, give --family and --size'
        table.add_row(name, str(split.labeled), str(split.unlabeled), recognized)
    Console().print(table)


@one_line_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if args.command == 'show':
        show()
        return 0
    splits = list((draw_all if args.command == 'draw' else import_all)(args))
    for split in splits:
        folder = split.save(args.out)
        print(
            f'{folder}: {len(split.labeled)} labeled, {len(split.unlabeled)} unlabeled'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
