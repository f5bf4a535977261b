"""Run all stages from CAMs to a segmentation network and write a report.

An interrupted pipeline resumes in its last stage; finished stages are recognized by
their inputs.
"""

import argparse
import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

from mmengine.config import Config, DictAction
from rich.console import Console

from mmseg_wsss.pipelines.stages import exit_on_sigterm, only_one, run_stages
from mmseg_wsss.pipelines.wsss_report import check_pipeline, report_pipeline
from mmseg_wsss.pipelines.wsss_stages import Tools, build_stages
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='config of the pipeline')
    parser.add_argument(
        '--work-dir', help='folder of the stages; default: work_dirs/NAME_OF_CONFIG'
    )
    parser.add_argument(
        '--gpus', type=int, default=1, help='number of GPUs (processes) per stage'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='override settings of the pipeline: KEY=VALUE, such as seed=1',
    )
    return parser.parse_args()


@one_line_errors(KeyError, RuntimeError)
def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    work_dir = Path(args.work_dir or Path('work_dirs', Path(args.config).stem))
    console = Console()
    with exit_on_sigterm(), only_one(work_dir) as lock:
        tools = Tools(Path(__file__).resolve().parent, lock, args.gpus)
        stages = build_stages(cfg, work_dir, tools)
        check_pipeline(cfg)
        records = run_stages(stages, work_dir, console)
        scores = report_pipeline(cfg, stages, records, work_dir)
    for name, value in scores.items():
        console.print(f'{name}: {value:.2f}', soft_wrap=True)
    files = f'{work_dir / "report.html"}, {work_dir / "report.md"}'
    console.print(f'report: {files}', soft_wrap=True)


if __name__ == '__main__':
    main()
