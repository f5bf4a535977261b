"""Run all stages from CAMs to a segmentation network and write a report.

An interrupted pipeline resumes in its last stage; finished stages are recognized by
their inputs.
"""

import argparse
from pathlib import Path

from mmengine.config import Config
from rich.console import Console

import mmseg_wsss  # noqa: F401  (registers everything)
from mmseg_wsss.pipelines.report import write_report
from mmseg_wsss.pipelines.stages import exit_on_sigterm, only_one, run_stages
from mmseg_wsss.pipelines.wsss_stages import Tools, build_stages, prediction_folder
from mmseg_wsss.utils.launch import one_line_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the pipeline')
    parser.add_argument(
        '--work-dir', help='folder of the stages; default: work_dirs/NAME_OF_CONFIG'
    )
    parser.add_argument('--gpus', type=int, default=1, help='processes per stage')
    return parser.parse_args()


@one_line_errors(KeyError, RuntimeError)
def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    work_dir = Path(args.work_dir or Path('work_dirs', Path(args.config).stem))
    console = Console()
    with exit_on_sigterm(), only_one(work_dir) as lock:
        tools = Tools(Path(__file__).resolve().parent, lock, args.gpus)
        run_stages(build_stages(cfg, work_dir, tools), work_dir, console)
        scores = write_report(
            Config.fromfile(cfg.seeds.config),
            Config.fromfile(cfg.network.config),
            {
                'seeds + random walk, no CRF, train': work_dir / 'refined_seeds/masks',
                'pseudo-masks, train': work_dir / 'pseudo_masks/masks',
            },
            {
                f'network ({name}), test': prediction_folder(work_dir, name)
                for name in cfg.evaluation
            },
            work_dir / 'seeds/maps',
            work_dir,
            cfg.seeds.get('gt_split', 'train'),
        )
    for name, value in scores.items():
        console.print(f'{name}: {value:.2f}')
    console.print(f'report: {work_dir / "report.html"}, {work_dir / "report.md"}')


if __name__ == '__main__':
    main()
