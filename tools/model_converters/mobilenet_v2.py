"""Convert torchvision's ImageNet weights of MobileNetV2 into mmseg's names.

The file is ``MobileNet_V2_Weights.IMAGENET1K_V2`` (or ``V1``) of torchvision:
https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth. mmpretrain's weights need
no conversion: ``model.backbone.init_cfg.checkpoint=mmcls://mobilenet_v2``.

Example:
    python tools/model_converters/mobilenet_v2.py mobilenet_v2-7ebf99e0.pth \
        weights/mobilenet_v2_imagenet_mmseg.pth
"""

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import torch
from mmseg.models.backbones import MobileNetV2

from mmseg_wsss.models.backbones.mobilenet_v2_weights import from_torchvision
from mmseg_wsss.models.utils import check_state, read_state_dict
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', help="torchvision's file")
    parser.add_argument('dst', help='checkpoint to write')
    return parser.parse_args(argv)


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    state = from_torchvision(read_state_dict(args.src), args.src)
    with torch.device('meta'):
        backbone = MobileNetV2()
    check_state(state, backbone, args.src)
    with atomic_write(args.dst) as file:
        torch.save({'state_dict': state}, file)
    print(f'{args.dst}: {len(state)} tensors')
    return 0


if __name__ == '__main__':
    sys.exit(main())
