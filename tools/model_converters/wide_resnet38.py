"""Convert published weights of WideResNet38 into a checkpoint of this package.

Reads the PyTorch file of PSA (res38_cls.pth) or the MXNet file of the network's
authors (ilsvrc-cls_rna-a1_cls1000_ep-0001.params, resnet_38d.params).

Example:
    python tools/model_converters/wide_resnet38.py res38_cls.pth weights/res38_cls.pth
"""

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import torch

from mmseg_wsss.models.backbones import WideResNet38
from mmseg_wsss.models.backbones.wide_resnet38_weights import (
    FIRST_KEY,
    read_weights,
    segmentor_checkpoint,
)
from mmseg_wsss.models.utils import check_state
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', help='published file, PyTorch or MXNet')
    parser.add_argument(
        'dst', help='checkpoint to write, with the prefixes backbone. and cam_head.'
    )
    parser.add_argument(
        '--prefix',
        help="prefix of the backbone's keys in a file with several networks",
    )
    return parser.parse_args(argv)


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    state = read_weights(args.src, args.prefix)
    with torch.device('meta'):
        backbone = WideResNet38(base_channels=state[FIRST_KEY].shape[0])
    check_state(state, backbone, args.src)
    checkpoint = segmentor_checkpoint(state, backbone)
    with atomic_write(args.dst) as file:
        torch.save(checkpoint, file)
    tensors = checkpoint['state_dict']
    numbers = sum(tensor.numel() for tensor in tensors.values())
    print(f'{args.dst}: {len(tensors)} tensors, {numbers:,} numbers')
    for key in tensors:
        if key.startswith('cam_head.'):
            print(f'  with {key} {tuple(tensors[key].shape)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
