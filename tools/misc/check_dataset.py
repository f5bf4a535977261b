"""Check a data set for problems that break or bias a training.

    python tools/misc/check_dataset.py configs/asdt/CONFIG.py --workers 8
    python tools/misc/check_dataset.py --images data/my/images \
        --tags data/my/tags.csv --classes dog,cat \
        --split train=data/my/train.txt val=data/my/val.txt

Reports unreadable images, masks of another size, labels outside the range, masks of 0
and 255 only, tags without images and images without tags, images of equal names, files
missing from a split, images in more than one split (also copies under another name),
and paths that leave the data root. Classes in no mask or no tag of a split are listed
as remarks. The exit status is 1 if there are problems, 2 if the check cannot
run, else 0.
"""

import argparse
import os
import runpy
import sys
from collections import Counter
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmseg_wsss.datasets.checks.check_splits import check_splits
from mmseg_wsss.datasets.checks.from_config import splits_from_config, tag_findings
from mmseg_wsss.datasets.checks.from_folder import split_from_folder
from mmseg_wsss.datasets.checks.split import Finding, Report, Split
from mmseg_wsss.datasets.label_maps import LabelRule
from mmseg_wsss.datasets.tags.class_names import class_names
from mmseg_wsss.datasets.tags.image_tags import ImageTags, TagError
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', help='config to check')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='override settings of the config: KEY=VALUE',
    )
    parser.add_argument('--images', help='instead of a config: folder of images')
    parser.add_argument('--masks', help='folder of label maps')
    parser.add_argument('--tags', help='tag file in JSON, CSV or text format')
    parser.add_argument(
        '--classes', help='foreground classes: a data set, a file, or a,b,c'
    )
    parser.add_argument(
        '--no-background', action='store_true', help='label 0 of the masks is a class'
    )
    parser.add_argument(
        '--reduce-zero-label', action='store_true', help='label 0 means "unlabeled"'
    )
    parser.add_argument(
        '--allow-empty', action='store_true', help='images may lack tags'
    )
    parser.add_argument(
        '--split',
        nargs='+',
        default=[],
        metavar='NAME=FILE',
        help='lists of names, e.g. train=train.txt val=val.txt; default: all images',
    )
    parser.add_argument(
        '--img-suffix', help='by default all image files: .jpg, .PNG, ...'
    )
    parser.add_argument(
        '--mask-suffix', default='.png', help='suffix of the mask files'
    )
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    parser.add_argument(
        '--max-rows',
        type=int,
        default=50,
        help='maximum number of rows per kind; 0 prints all',
    )
    args = parser.parse_args(argv)
    if (args.config is None) == (args.images is None):
        parser.error('expected either a config or --images')
    if (args.tags or args.masks) and args.images and not args.classes:
        parser.error('--tags and --masks require --classes')
    if not all('=' in entry for entry in args.split):
        parser.error(f'--split expects NAME=FILE, found {" ".join(args.split)}')
    return args


def splits_from_folders(args: argparse.Namespace) -> tuple[list[Split], list[Finding]]:
    """Build the splits from the folders and lists on the command line."""
    names = class_names(args.classes) if args.classes else ()
    rule, tags, findings = None, None, []
    if names:
        rule = LabelRule(len(names), not args.no_background, args.reduce_zero_label)
    if args.tags:
        try:
            tags = ImageTags.load(args.tags, names, allow_empty=args.allow_empty)
        except TagError as error:
            findings = tag_findings(error)
            tags = error.tags  # to list images without tags as well
    lists = [entry.split('=', 1) for entry in args.split] or [['all', None]]
    splits = [
        split_from_folder(
            name,
            args.images,
            args.masks,
            path,
            args.img_suffix,
            args.mask_suffix,
            rule,
            tags,
            names,
        )
        for name, path in lists
    ]
    return splits, findings


def print_report(report: Report, max_rows: int) -> None:
    """Print a table of the checked files and a table of the problems."""
    console = Console() if sys.stdout.isatty() else Console(width=200)
    table = Table('split', 'readable images', 'readable masks', title='Checked')
    for name, images in report.images.items():
        table.add_row(name, str(images), str(report.masks[name]))
    console.print(table)
    if report.remarks:
        _print_findings(console, 'Remarks (no problems)', report.remarks, max_rows)
    if not report.findings:
        console.print('No problems found.')
        return
    kinds = _print_findings(console, 'Problems', report.findings, max_rows)
    numbers = ', '.join(f'{count} x {kind}' for kind, count in kinds.items())
    console.print(f'{len(report.findings)} problem(s): {numbers}')


def _print_findings(
    console: Console, title: str, findings: list[Finding], max_rows: int
) -> Counter[str]:
    """Print a table, sorted by kind, and return the number of each kind."""
    table = Table(title=title)
    table.add_column('kind')
    table.add_column('location', overflow='fold')
    table.add_column('message', overflow='fold')
    kinds = Counter(finding.kind for finding in findings)
    for kind, count in kinds.items():
        found = [finding for finding in findings if finding.kind == kind]
        for finding in found[: max_rows or None]:
            table.add_row(kind, Text(_short(finding.location)), Text(finding.message))
        if max_rows and count > max_rows:
            table.add_row(kind, f'... and {count - max_rows} more', '--max-rows 0')
    console.print(table)
    return kinds


def _short(path: str) -> str:
    """Return a path relative to the current folder if that is shorter."""
    relative = os.path.relpath(path) if os.path.isabs(path) else path
    return min(path, relative, key=len)


@one_line_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if args.config:
        config = Config.fromfile(args.config)
        config.merge_from_dict(args.cfg_options)
        init_default_scope(config.get('default_scope', 'mmseg'))
        splits, findings = splits_from_config(config)
    else:
        splits, findings = splits_from_folders(args)
    report = check_splits(splits, args.workers, progress=True)
    report.findings[:0] = findings
    print_report(report, args.max_rows)
    return int(bool(report.findings))


if __name__ == '__main__':
    sys.exit(main())
