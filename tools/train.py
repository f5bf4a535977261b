"""Train a model: mmseg's train tool with CPU processes and FlexibleRunner."""

import argparse
import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.engine.launch import (
    TRAINING_ERRORS,
    add_arguments,
    build_runner,
    check_inputs,
    enable_amp,
    load_config,
    resume_last,
)
from mmseg_wsss.utils.launch import ToolParser, leave_processes, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='resume from the last checkpoint in the work folder, if there is one',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train with automatic mixed precision'
    )
    add_arguments(parser)
    return parser.parse_args()


@one_line_errors(*TRAINING_ERRORS)
@safe_checkpoints()
def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    if args.amp:
        enable_amp(cfg)
    if args.resume:
        resume_last(cfg, search=True)
    elif cfg.get('resume'):
        raise ValueError(
            'resume=True in the config or --cfg-options: give --resume in its place, '
            'which resumes from the last checkpoint in the work folder'
        )
    check_inputs(cfg, 'train', 'val')
    build_runner(cfg).train()
    leave_processes()


if __name__ == '__main__':
    main()
