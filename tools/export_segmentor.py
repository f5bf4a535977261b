"""Export a student, a teacher or the average of several as an mmseg checkpoint.

A config is written beside it. Both work with mmseg's tools/test.py, init_model and
inference_model; the config imports other packages only if the network needs them.
"""

import argparse
from contextlib import redirect_stderr, redirect_stdout

with redirect_stdout(None), redirect_stderr(None):  # reports of optional imports
    import mmseg_wsss  # noqa: F401  (registers everything)

from mmengine.config import Config

from mmseg_wsss.pipelines.export_segmentor import export_segmentor
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = ToolParser(description=__doc__)
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--network',
        nargs='+',
        required=True,
        help='names such as student1; the weights of several are averaged',
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
    for path in export_segmentor(cfg, args.checkpoint, args.network, args.out):
        print(path)


if __name__ == '__main__':
    main()
