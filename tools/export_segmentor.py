"""Write a student, a teacher or an average of them as a plain mmseg checkpoint.

The config beside it needs mmseg alone, unless the network has parts of this package or
of your own: mmseg's tools/test.py, init_model and inference_model take both.
"""

import argparse

from mmengine.config import Config

import mmseg_wsss  # noqa: F401  (registers everything)
from mmseg_wsss.pipelines.export_segmentor import export_segmentor


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--network',
        nargs='+',
        required=True,
        help='student1, teacher2, ...; the weights of several are averaged',
    )
    parser.add_argument(
        '--out', required=True, help='checkpoint to write; NAME.py lies beside NAME.pth'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    for path in export_segmentor(cfg, args.checkpoint, args.network, args.out):
        print(path)


if __name__ == '__main__':
    main()
