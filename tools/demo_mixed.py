"""Train on the toy set with 10 masks, with the tags of 400 images, and with both.

All three take 700 steps: 400 on the masks or on the tags, then 300 from there.
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
CAM = config_path('cam/cam_r18_1xb16-400_wsss-toy-voc-128.py')
CAMSEG = config_path('cam_seg/camseg_r18_1xb16-300_wsss-toy-voc-128.py')
MKD = config_path('mkd/mkd-tags_r18_1xb8+8-300_mixed-10-toy-voc-128.py')
SCHEDULE = ('train_cfg', 'param_scheduler')
COST = (
    'Steps are equal, their cost is not: masks alone train 1 network on 8 images a '
    'step, tags alone 1 on 16, both 2 students with 2 teachers on 16'
)


@one_line_errors()
def main() -> None:
    args = parse_args(__doc__, 'work_dirs/demo_mixed')
    out, shorten = args.out, args.shorten
    warnings.filterwarnings('ignore')
    log = Console().print
    mkd_cfg = Config.fromfile(MKD)
    log(f'[bold]1/6[/] images, masks and tags of the toy set: {mkd_cfg.data_root}')
    generate(mkd_cfg.data_root)
    log('[bold]2/6[/] 10 masks: the start of the masks alone, and of both')
    start = train(SUPERVISED, out / 'start', shorten, steps=400)
    from_start = {'load_from': start['checkpoint']}
    log('[bold]3/6[/] the masks alone: the same 10 labeled images')
    # With the schedule of MKD.
    equal = {key: mkd_cfg[key] for key in SCHEDULE}
    masks = train(SUPERVISED, out / 'masks', shorten, equal | from_start)
    log('[bold]4/6[/] 400 tags: a classifier')
    classifier = train(CAM, out / 'classifier', shorten)
    log('[bold]5/6[/] the tags alone: a network on the CAMs of this classifier')
    from_classifier = {'load_from': classifier['checkpoint']}
    tags = train(CAMSEG, out / 'tags', shorten, from_classifier)
    log('[bold]6/6[/] both: MKD with 10 masks, and the tags filter its pseudo-labels')
    both = train(MKD, out / 'both', shorten, from_start)

    results = {
        'start': start,
        'masks_alone': masks,
        'classifier': classifier,
        'tags_alone': tags,
        'both': both,
    }
    steps = {name: result['steps'] for name, result in results.items()}
    scores = {
        f'{name}_val_miou': results[name]['val']['single scale']['mIoU']
        for name in ('masks_alone', 'tags_alone', 'both')
    }
    total = steps['start'] + steps['both']
    rows = [
        (f'10 masks, {total} steps', 'val', 'masks_alone_val_miou'),
        (f'400 tags, {total} steps', 'val', 'tags_alone_val_miou'),
        (f'10 masks and 400 tags, {total} steps', 'val', 'both_val_miou'),
    ]
    finish(out, scores, rows, results, steps, COST)


if __name__ == '__main__':
    main()
