"""Test a model: mmseg's test tool with a CRF, multiple scales and CPU processes."""

import argparse
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.engine.launch import (
    TRAINING_ERRORS,
    add_arguments,
    build_runner,
    check_inputs,
    load_config,
)
from mmseg_wsss.pipelines.setting import (
    SCALES,
    apply_setting,
    drop_gt,
    metrics_of,
    record,
)
from mmseg_wsss.utils.launch import ToolParser, leave_processes, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='folder for the predictions as PNG files')
    parser.add_argument(
        '--no-gt',
        action='store_true',
        help='only write predictions to --out, for images without masks',
    )
    parser.add_argument('--show', action='store_true', help='show the predictions')
    parser.add_argument('--show-dir', help='folder for images with predictions')
    parser.add_argument(
        '--wait-time', type=float, help='seconds per image of --show; default: 2'
    )
    parser.add_argument(
        '--tta', action='store_true', help='use the tta_pipeline of the config'
    )
    parser.add_argument(
        '--ms-flip',
        action='store_true',
        help='several scales and their mirror images',
    )
    parser.add_argument(
        '--scales',
        type=float,
        nargs='+',
        help=f'scales of --ms-flip; default: {" ".join(map(str, SCALES))}',
    )
    parser.add_argument(
        '--crf',
        action='store_true',
        help='refine with tta_model.crf of the config, by default DenseCRF',
    )
    add_arguments(parser)
    return parser.parse_args()


def enable_visualization(cfg: Config, args: argparse.Namespace) -> None:
    """Enable the visualization hook of a config for --show and --show-dir."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ValueError(
            '--show and --show-dir need default_hooks.visualization = '
            "dict(type='SegVisualizationHook') in the config"
        )
    hook.draw = True
    if args.show:
        hook.show = True
        hook.wait_time = 2 if args.wait_time is None else args.wait_time
    if args.show_dir:
        cfg.visualizer.save_dir = args.show_dir


def write_predictions_to(cfg: Config, folder: str) -> None:
    """Make the IoU metrics of a config write the predictions to a folder."""
    metrics = metrics_of(cfg)
    if not metrics:  # a config without masks for testing
        cfg.test_evaluator = [dict(type='IoUMetric', format_only=True)]
        metrics = metrics_of(cfg)
    writers = [metric for metric in metrics if metric.type == 'IoUMetric']
    if not writers:
        raise ValueError(
            '--out needs an IoUMetric in test_evaluator, found '
            f'{[metric.type for metric in metrics]}'
        )
    for metric in writers:
        metric.output_dir = folder
        metric.keep_results = True


def refuse_equal_names(dataset: Any) -> None:
    """Reject images that mmseg's metric would write to the same file.

    Raises:
        ValueError: If two images in different folders have the same name.
    """
    paths = (dataset.get_data_info(i)['img_path'] for i in range(len(dataset)))
    names = Counter(Path(path).stem for path in paths)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise ValueError(
            f'--out: {count} images are called {name} and would be written to one '
            'file; tools/predict.py keeps sub-folders'
        )


def configure(args: argparse.Namespace) -> tuple[Config, str]:
    """Load the config and apply the command line; also return the test setting."""
    if args.scales is not None and not args.ms_flip:
        raise ValueError('--scales needs --ms-flip, which tests on several scales')
    if args.wait_time is not None and not args.show:
        raise ValueError('--wait-time needs --show, which shows the predictions')
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir:
        enable_visualization(cfg, args)
    if args.out is not None:
        write_predictions_to(cfg, args.out)
    if args.no_gt:
        if args.out is None:
            raise ValueError('--no-gt needs --out, the folder of the predictions')
        drop_gt(cfg)
    scales = args.scales or SCALES
    return cfg, apply_setting(cfg, args.tta, args.ms_flip, args.crf, scales)


@one_line_errors(*TRAINING_ERRORS)
@safe_checkpoints()
def main() -> None:
    args = parse_args()
    cfg, setting = configure(args)
    check_inputs(cfg, 'test')
    runner = build_runner(cfg)
    if args.out is not None:
        refuse_equal_names(runner.test_dataloader.dataset)
    details = f' {dict(cfg.model.crf)}' if args.crf else ''
    print_log(f'setting: {setting}{details}', logger='current')
    metrics = runner.test()
    if is_main_process() and not args.no_gt:
        path = Path(cfg.work_dir, 'test_settings.json')
        table = record(path, args.checkpoint, setting, metrics)
        print_log(f'{args.checkpoint} ({path})\n{table}', logger='current')
    del runner
    leave_processes()


if __name__ == '__main__':
    main()
