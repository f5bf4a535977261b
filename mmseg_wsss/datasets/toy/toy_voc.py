"""Generate a toy data set in the layout of PASCAL VOC.

``python -m mmseg_wsss.datasets.toy.toy_voc OUT_DIR`` writes::

    OUT_DIR/JPEGImages/*.png                images (PNG: lossless and reproducible)
    OUT_DIR/SegmentationClass/*.png         palette masks
    OUT_DIR/ImageSets/Segmentation/*.txt    train and val lists
    OUT_DIR/tags_train.json, tags_val.json  tag files
    OUT_DIR/toy_voc.json                    the arguments of the generator

The bytes of image ``i`` depend only on the seed and on ``i``.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.parallel import parallel_map
from mmseg_wsss.utils.settings import check_value

from .toy_scene import OBJECT_CLASSES, draw_scene
from .toy_voc_dataset import ToyVOCDataset

VERSION = 1  # of the generator; versions draw different images
CLASSES = ToyVOCDataset.METAINFO['classes']
PALETTE = np.array(ToyVOCDataset.METAINFO['palette'], np.uint8)


def generate(
    out_dir: str | os.PathLike,
    num_train: int = 400,
    num_val: int = 100,
    size: int = 128,
    seed: int = 0,
    workers: int = 0,
) -> Path:
    """Write the data set, or complete one that was interrupted or lacks files.

    A complete one with the same arguments is left unchanged.

    Args:
        out_dir: Folder; created if missing.
        num_train: Number of images of the training split, at least 1.
        num_val: Number of images of the validation split, at least 1.
        size: Side of an image in pixels, at least 32.
        seed: Non-negative seed.
        workers: Number of processes that draw; 0 draws in the calling process.

    Returns:
        The folder.

    Raises:
        ValueError: If an argument is out of range, or the folder contains other files
            or a data set with other arguments.
    """
    limits = {
        'num_train': (num_train, 1),
        'num_val': (num_val, 1),
        'size': (size, 32),
        'seed': (seed, 0),
    }
    for name, (value, minimum) in limits.items():
        check_value(name, value, at_least=minimum)
    out_dir = Path(out_dir)
    manifest = {'version': VERSION} | {k: value for k, (value, _) in limits.items()}
    if _is_complete(out_dir, manifest):
        return out_dir
    # Written first, so that only a call with the same arguments completes the folder.
    with atomic_write(out_dir / 'toy_voc.json', 'w') as file:
        json.dump(manifest | {'complete': False}, file)

    total = num_train + num_val
    jobs = [(out_dir, index, size, seed) for index in range(total)]
    labels = list(
        parallel_map(_write_image, jobs, workers, 'drawing images', progress=True)
    )
    names = [_name(index) for index in range(total)]
    for split, part in (('train', slice(num_train)), ('val', slice(num_train, None))):
        _write_split(out_dir, split, names[part], labels[part])
    with atomic_write(out_dir / 'toy_voc.json', 'w') as file:
        json.dump(manifest | {'complete': True}, file)
    return out_dir


def _name(index: int) -> str:
    return f'toy_{index:06d}'


def _is_complete(out_dir: Path, manifest: dict) -> bool:
    """Return whether all files exist; raise if the folder contains anything else."""
    path = out_dir / 'toy_voc.json'
    if not path.is_file():
        if out_dir.exists() and not out_dir.is_dir():
            raise ValueError(f'{out_dir} is a file, expected a folder to write to')
        # A first write that was interrupted leaves only its hidden file.
        others = out_dir.iterdir() if out_dir.is_dir() else ()
        if any(not other.name.startswith('.') for other in others):
            raise ValueError(
                f'{out_dir} contains other files and no toy_voc.json; choose a new or '
                'an empty folder'
            )
        return False
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        complete = found.pop('complete')
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path} does not contain the arguments of the generator ({error!r}); '
            'delete the folder or choose another one'
        ) from error
    if found != manifest:
        raise ValueError(
            f'{out_dir} contains toy images of the arguments {found}, expected '
            f'{manifest}; choose another folder or delete this one'
        )
    total = manifest['num_train'] + manifest['num_val']
    return complete is True and all(file.is_file() for file in _files(out_dir, total))


def _files(out_dir: Path, total: int) -> Iterator[Path]:
    """Yield all files of the data set except toy_voc.json."""
    for split in ('train', 'val'):
        yield out_dir / 'ImageSets' / 'Segmentation' / f'{split}.txt'
        yield out_dir / f'tags_{split}.json'
    for index in range(total):
        yield out_dir / 'JPEGImages' / f'{_name(index)}.png'
        yield out_dir / 'SegmentationClass' / f'{_name(index)}.png'


def _write_image(job: tuple[Path, int, int, int]) -> list[str]:
    """Draw and write one image and its mask; return its tags."""
    out_dir, index, size, seed = job
    rng = np.random.default_rng((seed, index))
    scene = draw_scene(rng, size, index % len(OBJECT_CLASSES) + 1)
    mask = Image.fromarray(scene.seg, mode='P')
    mask.putpalette(PALETTE.ravel().tolist())
    for folder, image in (
        ('JPEGImages', Image.fromarray(scene.img)),
        ('SegmentationClass', mask),
    ):
        with atomic_write(out_dir / folder / f'{_name(index)}.png') as file:
            image.save(file, format='PNG')
    return [CLASSES[label] for label in np.unique(scene.seg) if label]


def _write_split(
    out_dir: Path, split: str, names: Sequence[str], labels: Sequence[list[str]]
) -> None:
    path = out_dir / 'ImageSets' / 'Segmentation' / f'{split}.txt'
    with atomic_write(path, 'w') as file:
        file.write('\n'.join(names) + '\n')
    with atomic_write(out_dir / f'tags_{split}.json', 'w') as file:
        json.dump(dict(zip(names, labels)), file, indent=0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Generate a toy data set in the layout of PASCAL VOC.'
    )
    parser.add_argument('out_dir', help='folder to write')
    parser.add_argument('--num-train', type=int, default=400)
    parser.add_argument('--num-val', type=int, default=100)
    parser.add_argument('--size', type=int, default=128, help='side in pixels')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=0, help='number of processes')
    args = parser.parse_args()
    try:
        out_dir = generate(**vars(args))
    except ValueError as error:
        parser.error(str(error))
    print(f'{args.num_train} + {args.num_val} images with masks and tags: {out_dir}')


if __name__ == '__main__':
    main()
