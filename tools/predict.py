"""Predict a folder of new images, without tags or masks.

Writes OUT/masks (palette PNG files), OUT/overlays and OUT/contact_sheet.jpg; the same
command resumes an interrupted prediction. With several GPUs or processes:
``torchrun --nproc_per_node N tools/predict.py ... --launcher pytorch``.
"""

import argparse
import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

from mmengine.dist import is_main_process

from mmseg_wsss.engine.launch import add_config_arguments, read_config
from mmseg_wsss.pipelines.predict import predict_folder
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
    parser.add_argument('images', help='folder of images, sub-folders included')
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument(
        '--sheet', type=int, default=24, help='images on the contact sheet, 0 for none'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace predictions of another model'
    )
    add_config_arguments(parser)
    return parser.parse_args()


@one_line_errors(KeyError, TypeError)
def main() -> None:
    args = parse_args()
    cfg = read_config(args)
    init_processes(args.launcher, timeout=DAY)  # ranks differ in speed
    count = predict_folder(
        cfg,
        args.checkpoint,
        args.images,
        args.out,
        sheet_size=args.sheet,
        overwrite=args.overwrite,
    )
    if is_main_process():
        found = (
            'masks, overlays and a contact sheet'
            if args.sheet
            else 'masks and overlays'
        )
        print(f'{count} images: {found} in {args.out}')
    leave_processes()


if __name__ == '__main__':
    main()
