"""Export the pseudo-labels of a model as palette PNG files, optionally with soft maps.

An interrupted export resumes. With several processes:
``torchrun --nproc_per_node N tools/export_pseudo_labels.py ... --launcher pytorch``.
"""

import argparse
import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

from mmengine.dist import is_main_process

from mmseg_wsss.engine.launch import add_config_arguments, read_config
from mmseg_wsss.pipelines.export import export_from_config
from mmseg_wsss.pipelines.export_files import given_names
from mmseg_wsss.utils.launch import (
    DAY,
    ToolParser,
    init_processes,
    leave_processes,
    one_line_errors,
)


def parse_args() -> argparse.Namespace:
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument(
        '--source',
        required=True,
        help='pseudo-label of the method: cam, prediction, teacher_a, fused, ...',
    )
    parser.add_argument(
        '--split',
        choices=['train', 'val', 'test'],
        help='train: export_dataloader of the config; val, test: the loader of this '
        'name; default: export_dataloader, else test_dataloader',
    )
    parser.add_argument(
        '--bg-thr',
        type=float,
        help='label the soft map with this background threshold in [0, 1], in place of '
        'the labels of the method',
    )
    parser.add_argument(
        '--soft', action='store_true', help='write soft maps too (.npz)'
    )
    parser.add_argument(
        '--ignore-masks',
        action='store_true',
        help='pseudo-labels for labeled images (SemiDataset) too, in place of their '
        'masks',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace files of another export'
    )
    add_config_arguments(parser)
    return parser.parse_args()


@one_line_errors(KeyError, TypeError)
def main() -> None:
    args = parse_args()
    cfg = read_config(args)
    init_processes(args.launcher, timeout=DAY)  # ranks differ in speed
    count = export_from_config(
        cfg,
        args.checkpoint,
        args.out,
        args.source,
        split=args.split,
        soft=args.soft,
        bg_thr=args.bg_thr,
        given_masks=not args.ignore_masks,
        overwrite=args.overwrite,
    )
    if is_main_process():
        given = len(given_names(args.out))
        masks = f', {given} of them given masks' if given else ''
        print(f'{count} images: pseudo-labels ({args.source}){masks} in {args.out}')
    leave_processes()


if __name__ == '__main__':
    main()
