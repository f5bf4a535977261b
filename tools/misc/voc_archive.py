"""Pack predictions on VOC's test images for the evaluation server.

    python tools/test.py CONFIG CHECKPOINT --no-gt --out work_dirs/voc_test \
        --cfg-options test_dataloader.dataset.ann_file=ImageSets/Segmentation/test.txt
    python tools/misc/voc_archive.py work_dirs/voc_test results.tar.gz \
        --list data/VOCdevkit/VOC2012/ImageSets/Segmentation/test.txt

The archive holds results/VOC2012/Segmentation/COMPETITION_test_cls/NAME.png, palette
images with labels 0 to 20. Nothing is written if an image of the list is missing or
contains another label.
"""

import argparse
import io
import runpy
import sys
import tarfile
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import numpy as np
from mmseg.datasets import PascalVOCDataset
from PIL import Image

from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.splits.split_lists import read_list
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import ToolParser, one_line_errors

PALETTE = PascalVOCDataset.METAINFO['palette']


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('predictions', type=Path, help='folder of NAME.png')
    parser.add_argument('archive', type=Path, help='archive to write, .tar.gz')
    parser.add_argument('--list', required=True, help='names of the test images')
    parser.add_argument(
        '--competition',
        default='comp6',
        choices=['comp5', 'comp6'],
        help='comp6 if other data than VOC was used, including ImageNet',
    )
    return parser.parse_args(argv)


def encode_png(path: Path) -> bytes:
    """Encode a prediction as palette PNG.

    Raises:
        ValueError: If the file is unreadable or a label is not a class of VOC.
    """
    labels = read_label_map(path)
    if labels.max() >= len(PALETTE):
        bad = np.unique(labels[labels >= len(PALETTE)]).tolist()
        raise ValueError(f'{path}: labels {bad}, expected 0 to {len(PALETTE) - 1}')
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette([value for color in PALETTE for value in color])
    buffer = io.BytesIO()
    image.save(buffer, format='PNG')
    return buffer.getvalue()


def write_archive(
    predictions: Path, archive: Path, names: list[str], competition: str
) -> None:
    """Write the archive, atomically.

    Raises:
        FileNotFoundError: If predictions are missing.
        ValueError: If a prediction is not a label map of VOC.
    """
    missing = [name for name in names if not (predictions / f'{name}.png').is_file()]
    if missing:
        raise FileNotFoundError(
            f'{predictions}: {len(missing)} of {len(names)} predictions are missing, '
            f'{missing[0]}.png first'
        )
    folder = f'results/VOC2012/Segmentation/{competition}_test_cls'
    with atomic_write(archive) as file, tarfile.open(fileobj=file, mode='w:gz') as tar:
        for name in names:
            data = encode_png(predictions / f'{name}.png')
            entry = tarfile.TarInfo(f'{folder}/{name}.png')
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


@one_line_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    names = read_list(args.list)
    write_archive(args.predictions, args.archive, names, args.competition)
    print(f'{args.archive}: {len(names)} images')
    return 0


if __name__ == '__main__':
    sys.exit(main())
