"""Create VOC 2012's train_aug split (10,582 images) from VOC and SBD.

    python tools/dataset_converters/voc_sbd.py data/VOCdevkit/VOC2012 \
        --sbd downloads/benchmark.tgz
    python tools/dataset_converters/voc_sbd.py data/VOCdevkit/VOC2012 \
        --ready downloads/SegmentationClassAug.zip

``--sbd`` is SBD's folder (with ``cls/*.mat``, ``train.txt``, ``val.txt``) or archive;
``--ready`` is an existing ``SegmentationClassAug`` folder or its archive. Writes
``SegmentationClassAug/*.png`` (12,031 palette label maps: VOC's masks for VOC's images,
SBD's for the others) and, next to VOC's lists, ``train_aug.txt`` (VOC train and SBD
without VOC val, sorted) and ``aug.txt`` (``train_aug.txt`` without VOC train). An
interrupted run resumes when started again.
"""

import argparse
import runpy
import sys
from functools import partial
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import numpy as np
from mmseg.datasets import PascalVOCDataset
from scipy.io import loadmat

from mmseg_wsss.datasets.label_maps import LabelRule, read_label_map, write_label_map
from mmseg_wsss.datasets.splits.split_lists import read_list, write_list
from mmseg_wsss.utils.archives import unpacked
from mmseg_wsss.utils.launch import ToolParser, one_line_errors
from mmseg_wsss.utils.parallel import parallel_map

TRAIN_AUG = 10582
RULE = LabelRule(20)
PALETTE = PascalVOCDataset.METAINFO['palette']


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('voc', type=Path, help='folder VOC2012')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--sbd', help='folder or archive of SBD')
    source.add_argument('--ready', help='folder or archive of SegmentationClassAug')
    parser.add_argument('--out', default='SegmentationClassAug', help='folder of masks')
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    parser.add_argument(
        '--overwrite', action='store_true', help='write existing masks again'
    )
    parser.add_argument(
        '--expect', type=int, default=TRAIN_AUG, help='number of images; 0 accepts any'
    )
    return parser.parse_args(argv)


def find_sbd(folder: Path) -> Path:
    """Find the folder with ``cls``, ``train.txt`` and ``val.txt``."""
    for found in (folder, *sorted(folder.rglob('dataset'))):
        if (found / 'cls').is_dir() and (found / 'train.txt').is_file():
            return found
    raise FileNotFoundError(
        f'{folder}: no folder with cls/, train.txt and val.txt found'
    )


def find_masks(folder: Path) -> Path:
    """Find the folder of PNG files at or below ``folder``."""
    found = {p.parent for p in folder.rglob('*.png') if not p.name.startswith('.')}
    if len(found) != 1:
        raise FileNotFoundError(
            f'{folder}: expected PNG files in one folder, found them in {len(found)}'
        )
    return found.pop()


def read_sbd_mask(path: Path) -> np.ndarray:
    """Read the class labels (H, W) of an annotation of SBD.

    Raises:
        ValueError: If the file is not an annotation of SBD; the message names it.
    """
    try:
        content = loadmat(path, variable_names=['GTcls'])
        labels = content['GTcls'][0, 0]['Segmentation']
    except Exception as error:  # loadmat raises errors of many types
        raise ValueError(f'{path}: not an annotation of SBD: {error!r}') from error
    if labels.ndim != 2 or labels.dtype.kind not in 'iu':
        raise ValueError(
            f'{path}: expected integer labels (H, W), found {labels.dtype} '
            f'{labels.shape}'
        )
    return labels


def convert(files: tuple[Path, Path], overwrite: bool) -> str | None:
    """Write one label map from ``.mat`` or PNG; return a message if that fails."""
    source, target = files
    if target.exists() and not overwrite:
        return None
    try:
        read = read_sbd_mask if source.suffix == '.mat' else read_label_map
        labels = read(source)
        problem = RULE.problem(np.unique(labels))
        if problem:
            return f'{source}: {problem}'
        write_label_map(target, labels.astype(np.uint8), PALETTE)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def sources(
    args: argparse.Namespace, train: list[str], val: list[str]
) -> dict[str, Path]:
    """Return the mask file of every image."""
    if args.ready:
        folder = find_masks(unpacked(args.ready))
        return {path.stem: path for path in sorted(folder.glob('*.png'))}
    sbd = find_sbd(unpacked(args.sbd))
    names = read_list(sbd / 'train.txt') + read_list(sbd / 'val.txt')
    found = {name: sbd / f'cls/{name}.mat' for name in names}
    own = args.voc / 'SegmentationClass'
    return {**found, **{name: own / f'{name}.png' for name in train + val}}


def run(args: argparse.Namespace) -> None:
    """Write the masks, then the lists.

    Raises:
        ValueError: If the number of images is wrong or masks are unusable.
        FileNotFoundError: If VOC, SBD or the existing masks are not found.
    """
    lists = args.voc / 'ImageSets/Segmentation'
    train, val = read_list(lists / 'train.txt'), read_list(lists / 'val.txt')
    masks = sources(args, train, val)
    train_aug = sorted(set(masks) - set(val))
    if args.expect and len(train_aug) != args.expect:
        raise ValueError(
            f'expected {args.expect} images in train_aug, found {len(train_aug)} '
            f'({len(masks)} masks, less those of VOC val); --expect 0 accepts it'
        )
    missing = sorted(set(train) - set(masks))
    if missing:
        raise ValueError(f'{len(missing)} of VOC train have no mask, e.g. {missing[0]}')
    files = [
        (path, args.voc / args.out / f'{name}.png') for name, path in masks.items()
    ]
    work = partial(convert, overwrite=args.overwrite)
    files = [(source, target) for source, target in files if source != target]
    results = parallel_map(work, files, args.workers, 'writing masks', progress=True)
    problems = [problem for problem in results if problem]
    if problems:
        raise ValueError('\n'.join([f'{len(problems)} unusable masks:', *problems]))
    aug = sorted(set(train_aug) - set(train))
    for path, names in (('train_aug.txt', train_aug), ('aug.txt', aug)):
        write_list(lists / path, names)
        print(f'{lists / path}: {len(names)} images')


@one_line_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    run(args)
    print(
        'Next, the tags: python tools/dataset_converters/image_tags.py '
        f'{args.voc}/tags_train_aug.json --masks {args.voc / args.out} --classes voc '
        f'--list {args.voc}/ImageSets/Segmentation/train_aug.txt'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
