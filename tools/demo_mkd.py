"""Train MKD with 10 labeled images of the toy dataset, and these 10 images alone.

Both networks start from the same training on the 10 images and take as many steps.
"""

import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

import warnings

from mmengine.config import Config
from rich.console import Console

from mmseg_wsss import config_path
from mmseg_wsss.datasets.toy.toy_voc import generate
from mmseg_wsss.pipelines.demo import finish, parse_args, train
from mmseg_wsss.utils.launch import one_line_errors

SUPERVISED = config_path('supervised/supervised_r18_1xb8+8-700_semi-10-toy-voc-128.py')
MKD = config_path('mkd/mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py')
SCHEDULE = ('train_cfg', 'param_scheduler')
COST = (
    'Steps are equal, their cost is not: masks alone train 1 network on 8 images a '
    'step, MKD 2 students with 2 teachers on 16'
)


@one_line_errors()
def main() -> None:
    args = parse_args(__doc__, 'work_dirs/demo_mkd')
    warnings.filterwarnings('ignore')
    log = Console().print
    mkd_cfg = Config.fromfile(MKD)
    log(f'[bold]1/4[/] images and masks of the toy dataset: {mkd_cfg.data_root}')
    generate(mkd_cfg.data_root)
    log('[bold]2/4[/] the start of both: 10 labeled images')
    start = train(SUPERVISED, args.out / 'start', args.shorten)
    from_start = {'load_from': start['checkpoint']}
    log('[bold]3/4[/] the masks alone: the same 10 labeled images')
    # With the schedule of MKD.
    equal = {key: mkd_cfg[key] for key in SCHEDULE}
    masks = train(SUPERVISED, args.out / 'masks', args.shorten, equal | from_start)
    log('[bold]4/4[/] MKD: the same 10 labeled and 390 unlabeled images')
    mkd = train(MKD, args.out / 'mkd', args.shorten, from_start)

    results = {'start': start, 'masks_alone': masks, 'mkd': mkd}
    steps = {name: result['steps'] for name, result in results.items()}
    scores = {
        f'{name}_val_miou': result['val']['single scale']['mIoU']
        for name, result in results.items()
    }
    rows = [
        (f'start: 10 masks, {steps["start"]} steps', 'val', 'start_val_miou'),
        (
            f'10 masks, {steps["masks_alone"]} steps more',
            'val',
            'masks_alone_val_miou',
        ),
        (
            f'MKD: 10 masks, 390 unlabeled images, {steps["mkd"]} steps more',
            'val',
            'mkd_val_miou',
        ),
    ]
    finish(args.out, scores, rows, results, steps, COST)


if __name__ == '__main__':
    main()
