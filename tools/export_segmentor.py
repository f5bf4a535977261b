"""Export the network of a training as an mmseg checkpoint, with a config beside it.

Weakly supervised methods have one network; of a semi-supervised one, name a student, a
teacher or several to average. Both files work with mmseg's tools/test.py, init_model
and inference_model; the config imports other packages only if the network needs them.
"""

import argparse
import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

from mmengine.config import Config

from mmseg_wsss.pipelines.export_segmentor import export_segmentor
from mmseg_wsss.pipelines.plain_network import HEADS
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--network',
        nargs='+',
        default=[],
        help='semi-supervised methods: names such as student1; the weights of several '
        'are averaged',
    )
    parser.add_argument(
        '--head',
        choices=HEADS,
        help='ASDT: the head to export, fused for both in one FusedHead of this '
        'package; default: as the config predicts (model.test_cfg.fuse)',
    )
    parser.add_argument(
        '--out',
        required=True,
        help='checkpoint to write (NAME.pth), with a config NAME.py',
    )
    return parser.parse_args()


@one_line_errors(KeyError)
def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    paths = export_segmentor(cfg, args.checkpoint, args.network, args.out, args.head)
    for path in paths:
        print(path)
    if (cfg.model.get('semi_test_cfg') or {}).get('prediction_filter'):
        print(
            'without prediction_filter, which needs the classifier model.cam_head: '
            'predictions differ from those of the training config'
        )


if __name__ == '__main__':
    main()
