"""Train MKD with 10 labeled images of the toy data set and compare with supervised."""

import argparse
import json
import warnings
from pathlib import Path

from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from mmseg_wsss import config_path
from mmseg_wsss.datasets.toy.toy_voc import generate
from mmseg_wsss.pipelines.measure import machine, measure
from mmseg_wsss.utils import atomic_write

SUPERVISED = config_path('supervised/supervised_r18_1xb8+8-700_semi-10-toy-voc-128.py')
MKD = config_path('mkd/mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/demo_mkd'),
        help='folder of the results; default: %(default)s',
    )
    out = parser.parse_args().out
    warnings.filterwarnings('ignore')
    log = Console().print
    data_root = Config.fromfile(MKD).data_root
    log(f'[bold]1/3[/] images and masks of the toy data set: {data_root}')
    generate(data_root)
    log('[bold]2/3[/] supervised: 10 labeled images')
    supervised = run(SUPERVISED, out / 'supervised')
    log('[bold]3/3[/] MKD: the same 10 and 390 unlabeled images')
    start = {'load_from': str(out / 'supervised' / 'iter_700.pth')}
    mkd = run(MKD, out / 'mkd', start)
    summary = {
        'machine': machine(),
        'masks_alone_val_miou': score(supervised),
        'mkd_val_miou': score(mkd),
        'train_seconds': sum(round(r['seconds']) for r in (supervised, mkd)),
    }
    with atomic_write(out / 'summary.json', 'w') as file:
        json.dump(summary, file, indent=1)
    table = Table('trained on', 'mIoU on val')
    table.add_row('10 masks', f'{summary["masks_alone_val_miou"]:.3f}')
    table.add_row(
        '10 masks, 390 unlabeled images: MKD', f'{summary["mkd_val_miou"]:.3f}'
    )
    log(table)
    log(f'trained {summary["train_seconds"]} s on {summary["machine"]}')
    log(f'results: {out}/summary.json')


def run(config: str, work_dir: Path, start: dict | None = None) -> dict:
    """Train and test a config with a progress bar in place of the log."""
    hooks = [*Config.fromfile(config).custom_hooks, {'type': 'ProgressBarHook'}]
    options = {'log_level': 'ERROR', 'custom_hooks': hooks, **(start or {})}
    return measure(config, work_dir, (), {'single scale': {}}, options)


def score(result: dict) -> float:
    """Return the single-scale mIoU in [0, 1] of the last checkpoint."""
    return round(result['val']['single scale']['mIoU'] / 100, 4)


if __name__ == '__main__':
    main()
