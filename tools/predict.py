"""Predict a folder of new images, without tags or masks.

Writes OUT/masks (palette PNG files), OUT/overlays and OUT/contact_sheet.jpg; the same
command resumes an interrupted prediction. With several GPUs or processes:
``torchrun --nproc_per_node N tools/predict.py ... --launcher pytorch``.
"""

import argparse

from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process

import mmseg_wsss  # noqa: F401  (registers everything)
from mmseg_wsss.engine.launch import LAUNCHERS
from mmseg_wsss.pipelines.predict import predict_folder
from mmseg_wsss.utils.launch import init_processes, leave_processes, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
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
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='launcher of the processes',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='overrides: KEY=VALUE',
    )
    return parser.parse_args()


@one_line_errors(KeyError, TypeError)
def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_processes(args.launcher)
    count = predict_folder(
        cfg,
        args.checkpoint,
        args.images,
        args.out,
        sheet_size=args.sheet,
        overwrite=args.overwrite,
    )
    if is_main_process():
        print(f'{count} images: masks, overlays and a contact sheet in {args.out}')
    leave_processes()


if __name__ == '__main__':
    main()
