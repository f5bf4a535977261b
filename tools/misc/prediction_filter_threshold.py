"""Choose the threshold of prediction filtering on the tagged images of a training.

Prints, for several thresholds, how many of the tags and of the absent classes the
classifier would remove, and the largest threshold that removes at most --max-missed of
the tags, for semi_test_cfg.prediction_filter.
"""

import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

from mmengine.config import Config, DictAction

from mmseg_wsss.pipelines.filter_threshold import (
    choose_threshold,
    rounded_down,
    score_threshold,
    tag_scores,
)
from mmseg_wsss.utils.launch import ToolParser, one_line_errors

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


@one_line_errors(KeyError, TypeError)
def main() -> None:
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--max-missed',
        type=float,
        default=0.01,
        help='largest ratio of the tags that the filter may remove',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='overrides: KEY=VALUE'
    )
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    prob, tags = tag_scores(cfg, args.checkpoint)
    chosen = choose_threshold(prob, tags, args.max_missed)
    print(f'{len(tags)} images, {int(tags.sum())} tags')
    print('threshold  tags removed  absent classes removed')
    for thr in sorted({*THRESHOLDS, chosen}):
        score = score_threshold(prob, tags, thr)
        print(f'{thr:9.4f}  {score.missed:11.1%}  {score.removed:21.1%}')
    thr = rounded_down(chosen)
    print(f'semi_test_cfg=dict(prediction_filter=dict(thr={thr}))')


if __name__ == '__main__':
    main()
