"""Read class-free masks: regions of an image without a class."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from mmseg_wsss.utils.files import StrPath, read_utf8

from .coco_masks import decode_mask
from .folders import walk_files
from .label_maps import read_label_map
from .tags.text_input import parse_json

REGION_SUFFIXES = ('.png', '.json', '.npz', '.npy')
MASKS = 'masks'  # of several arrays in a NumPy file
VOID = 255  # of palette files


def read_regions(
    path: StrPath, size: tuple[int, int], zero_is_region: bool = False
) -> list[np.ndarray]:
    """Read the class-free masks of an image.

    Args:
        path: A folder with one binary PNG per mask, as the automatic generator of SAM
            writes it; a JSON file with COCO run lengths or polygons, as the generator
            (a list) and SA-1B (``annotations``) store them; a PNG file with the number
            of its region in each pixel, in a palette PNG 255 for none, as VOC marks
            contours; or a NumPy file with such numbers (H, W), or masks (M, H, W) or
            (M, 1, H, W), alone or named ``masks``, as predictions of SAM are saved.
        size: Height and width of the image.
        zero_is_region: Whether the pixels of number 0 are a region; by default they
            belong to none.

    Returns:
        Positions of the pixels of each mask in the flattened image (P,) int64, in the
        order of the files, entries or numbers. Masks may be empty.

    Raises:
        ValueError: If a file is broken or has another format or size; the message names
            it.
    """
    path = Path(path)
    if path.is_dir():
        files = [file for file in walk_files(path) if file.suffix.lower() == '.png']
        # Names are numbers: 2.png comes before 10.png.
        files.sort(key=lambda file: (len(file.stem), file.stem))
        return [np.flatnonzero(_read_binary(file, size)) for file in files]
    if path.suffix.lower() == '.json':
        return _read_json(path, size)
    if path.suffix.lower() in ('.npz', '.npy'):
        array = _read_array(path)
        if array.ndim == 3:
            check_size(path, array.shape[1:], size)
            return [np.flatnonzero(mask) for mask in array]
        void = None
    else:
        array, void = read_label_map(path), VOID if _has_palette(path) else None
    check_size(path, array.shape, size)
    return regions_of_numbers(array, zero_is_region, void)


def regions_of_numbers(
    numbers: np.ndarray, zero_is_region: bool = False, void: int | None = None
) -> list[np.ndarray]:
    """Return the positions of the pixels of each number, in ascending order.

    Args:
        numbers: Integers (H, W).
        zero_is_region: Whether 0 is a region.
        void: Number that is no region.

    Example:
        >>> regions_of_numbers(np.array([[7, 0, 7], [3, 3, 0]]))
        [array([3, 4]), array([0, 2])]
    """
    flat = numbers.ravel()
    order = np.argsort(flat, kind='stable')
    starts = np.flatnonzero(np.diff(flat[order])) + 1
    regions = np.split(order, starts) if len(order) else []
    omitted = {void} if zero_is_region else {0, void}
    return [region for region in regions if int(flat[region[0]]) not in omitted]


def check_size(path: StrPath, found: Sequence[int], size: tuple[int, int]) -> None:
    """Raise a ValueError that names the file if image and mask differ in size."""
    if tuple(found) != tuple(size):
        turned = tuple(found) == (size[1], size[0])
        raise ValueError(
            f'{path}: expected a mask of the size of the image, {size[1]}x{size[0]} '
            f'(width x height), found {found[1]}x{found[0]}'
            + (' (turned: check the EXIF orientation of the image)' if turned else '')
            + '; make the masks from these images, without resizing'
        )


def _has_palette(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode == 'P'


def _read_binary(path: Path, size: tuple[int, int]) -> np.ndarray:
    mask = read_label_map(path)
    check_size(path, mask.shape, size)
    values = np.unique(mask)
    if len(values[values > 0]) > 1:
        raise ValueError(
            f'{path}: expected one mask, 0 and one other value, found '
            f'{len(values)} values; an image with numbers of regions is named as the '
            f'image, {path.parent.name}.png'
        )
    return mask


def _read_json(path: Path, size: tuple[int, int]) -> list[np.ndarray]:
    content = parse_json(path, read_utf8(path))
    entries = content.get('annotations') if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise ValueError(
            f'{path}: expected a list of masks, or {{"annotations": [...]}}, found '
            f'{str(content)[:60]}'
        )
    regions = []
    for number, entry in enumerate(entries):
        try:
            segmentation = entry['segmentation']
            regions.append(np.flatnonzero(decode_mask(segmentation, *size)))
        except (KeyError, TypeError) as error:
            raise ValueError(
                f'{path}: mask {number}: expected {{"segmentation": ...}}, found '
                f'{str(entry)[:60]}'
            ) from error
        except ValueError as error:
            raise ValueError(f'{path}: mask {number}: {error}') from error
    return regions


def _read_array(path: Path) -> np.ndarray:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            arrays = [content]
        else:
            with content:
                keys = [MASKS] if MASKS in content.files else content.files
                arrays = [content[key] for key in keys]
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f'{path}: unreadable NumPy file: {error}') from error
    if len(arrays) == 1 and arrays[0].ndim == 4 and arrays[0].shape[1] == 1:
        arrays = [arrays[0][:, 0]]
    if len(arrays) != 1 or arrays[0].ndim not in (2, 3):
        shapes = ', '.join(str(array.shape) for array in arrays)
        raise ValueError(
            f'{path}: expected one array or one named {MASKS!r}, numbers (H, W) or '
            f'masks (M, H, W) or (M, 1, H, W), found the shapes {shapes or "of none"}'
        )
    if arrays[0].dtype.kind not in 'biu':
        raise ValueError(
            f'{path}: expected whole numbers or booleans, found {arrays[0].dtype}'
        )
    return arrays[0]
