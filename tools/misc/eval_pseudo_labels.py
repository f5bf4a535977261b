"""Evaluate label files, such as exported pseudo-labels, against ground truth masks."""

import argparse
import json
import runpy
from collections.abc import Sequence
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

from mmseg_wsss.datasets.folders import walk_files
from mmseg_wsss.datasets.splits.split_lists import read_list
from mmseg_wsss.evaluation.tables import class_table, summary_table
from mmseg_wsss.pipelines.export_files import given_names
from mmseg_wsss.pipelines.label_files import evaluate_label_files
from mmseg_wsss.registry import DATASETS
from mmseg_wsss.utils.files import atomic_write
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = ToolParser(description=__doc__)
    parser.add_argument('pred_dir', help='folder of the label files')
    parser.add_argument('gt_dir', help='folder of the ground truth masks')
    parser.add_argument(
        '--list',
        help='names, one per line; default: all in PRED_DIR. Masks that were given to '
        'the export are left out',
    )
    parser.add_argument(
        '--dataset', default='PascalVOCDataset', help='data set with the classes'
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        help='class names in place of --dataset: a b c, or a,b,c',
    )
    parser.add_argument(
        '--reduce-zero-label', action='store_true', help='classes start at 1 in GT_DIR'
    )
    parser.add_argument('--pred-suffix', default='.png', help='default: .png')
    parser.add_argument('--gt-suffix', default='.png', help='default: .png')
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    parser.add_argument('--json', help='write the scores to this file')
    return parser.parse_args()


def find_names(args: argparse.Namespace) -> list[str]:
    """Return the names to evaluate, without masks that were given to the export."""
    folder, suffix = Path(args.pred_dir), args.pred_suffix
    files = [path.relative_to(folder) for path in walk_files(folder)]
    found = [file.as_posix() for file in files if file.name.endswith(suffix)]
    names = sorted(file.removesuffix(suffix) for file in found)
    if args.list:
        names = list(dict.fromkeys(read_list(args.list, known=set(names))))
    if not names:
        raise SystemExit(f'error: no names in {args.list or folder}')
    given = given_names(folder).intersection(names)
    if len(given) == len(set(names)):
        raise SystemExit(
            f'error: all {len(given)} names are given masks, no pseudo-labels'
        )
    if given:
        print(f'left out: {len(given)} given masks')
    return [name for name in names if name not in given]


def classes_of(name: str) -> Sequence[str]:
    """Return the classes of a registered data set.

    Raises:
        ValueError: If there is no such data set, or it has no classes.
    """
    kind = DATASETS.get(name) if name in DATASETS else None
    classes = (getattr(kind, 'METAINFO', None) or {}).get('classes')
    if not classes:
        raise ValueError(
            f'--dataset {name}: expected a registered data set with classes, such as '
            'PascalVOCDataset; or name the classes by --classes'
        )
    return classes


@one_line_errors()
def main() -> None:
    args = parse_args()
    classes = args.classes or classes_of(args.dataset)
    if len(classes) == 1:
        classes = classes[0].split(',')
    names = find_names(args)
    scores = evaluate_label_files(
        args.pred_dir,
        args.gt_dir,
        names,
        len(classes),
        background=classes[0] == 'background',
        reduce_zero_label=args.reduce_zero_label,
        pred_suffix=args.pred_suffix,
        gt_suffix=args.gt_suffix,
        num_workers=args.workers,
        progress=True,
    )
    print(class_table(scores, classes))
    print(summary_table({f'{len(names)} images': scores.summary()}))
    if args.json:
        result = {
            'images': len(names),
            'summary': scores.summary(),
            'classes': {'names': list(classes), **scores.per_class()},
        }
        with atomic_write(args.json, 'w') as file:
            # JSON has no NaN: undefined scores become null.
            valid = json.loads(json.dumps(result), parse_constant=lambda _: None)
            json.dump(valid, file, indent=2)


if __name__ == '__main__':
    main()
