"""Check of the image file and the mask file of one sample."""

import hashlib
import os
from pathlib import Path

import numpy as np
from PIL import ImageFile

from mmseg_wsss.utils.files import inside
from mmseg_wsss.utils.labels import IGNORE_INDEX

from ..image_headers import loaded_size, read_header
from ..image_name import tag_key
from ..label_maps import IMAGE_ERRORS, open_whole, read_label_map
from .split import Finding, Split, SplitImage, StrPath


def check_files(
    image: SplitImage, split: Split
) -> tuple[str | None, frozenset[int] | None, list[Finding]]:
    """Check the files of one sample.

    Args:
        image: The sample.
        split: Its split; ``images`` and ``tags`` are not used.

    Returns:
        SHA-256 of the image file, None if it is unusable; the labels of the mask, None
        if it is not readable; and the findings.
    """
    findings: list[Finding] = []
    if not _is_inside(image.path, split.folder, findings):
        return None, None, findings
    digest, size = None, None
    try:
        size = image_size(image.path, split.rotate)
        digest = hashlib.sha256(Path(image.path).read_bytes()).hexdigest()
    except FileNotFoundError:
        message = f'listed in {split.name}{_other_form(image.path)}'
        findings.append(Finding('missing image', image.path, message))
    except IMAGE_ERRORS as error:
        message = str(error).replace(f' {image.path!r}', '')
        findings.append(Finding('unreadable image', image.path, message))
    header = read_header(image.path) if digest and split.cut_to_8_bits else None
    if header is not None and header[1] > 8:
        message = (
            f'{header[1]} bits per channel, of which LoadImageFromFile keeps the upper '
            "8: LoadImageStrict(color_type='unchanged') keeps all"
        )
        findings.append(Finding('depth of the image', image.path, message))
    labels = None
    if image.mask is not None and _is_inside(image.mask, split.mask_folder, findings):
        labels, mask_findings = _check_mask(image.mask, size, split)
        findings += mask_findings
    return digest, labels, findings


def _other_form(path: str) -> str:
    """Name a file that differs in Unicode form or suffix only, if there is one."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        return ''
    key = tag_key(os.path.basename(path))
    names = sorted(name for name in os.listdir(folder) if tag_key(name) == key)
    return (
        f'; there is {names[0]!r}, of another suffix or Unicode form' if names else ''
    )


def _check_mask(
    path: str, size: tuple[int, int] | None, split: Split
) -> tuple[frozenset[int] | None, list[Finding]]:
    """Check a mask; ``size`` is (height, width) of the image, None if unreadable."""
    if not os.path.isfile(path):
        missing = Finding('missing mask', path, f'of an image in {split.name}')
        return None, [] if split.masks_optional else [missing]
    try:
        labels = read_label_map(path)
    except ValueError as error:
        message = str(error).removeprefix(f'{path}: ')
        return None, [Finding('unreadable mask', path, message)]
    findings = []
    height, width = labels.shape
    if size is not None and (height, width) != size:
        message = f'mask {width}x{height}, image {size[1]}x{size[0]}'
        if (width, height) == size:
            message += ' (rotated: check the EXIF orientation of the image)'
        findings.append(Finding('size of the mask', path, message))
    values = np.unique(labels)
    problem = split.rule.problem(values) if split.rule else None
    if problem:
        findings.append(Finding('labels of the mask', path, problem))
    black = _black_label(path, values)
    if black:
        message = (
            f'black is label {black}, and label 0 has another color: the palette was '
            'made for this file alone; store class indices'
        )
        findings.append(Finding('palette of the mask', path, message))
    return frozenset(values.tolist()), findings


def _black_label(path: str, values: np.ndarray) -> int:
    """Return a nonzero label that is black in the palette, 0 if there is none.

    Programs that convert colors to a palette number them file by file.
    """
    with open_whole(path) as image:
        palette = (image.getpalette() or []) if image.mode == 'P' else []
    colors = [tuple(palette[3 * k : 3 * k + 3]) for k in range(len(palette) // 3)]
    if not colors or not any(colors[0]):
        return 0
    black = [k for k in values.tolist() if k < len(colors) and not any(colors[k])]
    return next((k for k in black if k != IGNORE_INDEX), 0)


def image_size(path: StrPath, rotate: bool = True) -> tuple[int, int]:
    """Decode an image and return its (height, width) as mmcv loads it.

    Args:
        path: The file, of any format.
        rotate: Whether its loader applies the EXIF orientation.

    Raises:
        OSError, SyntaxError, ValueError, DecompressionBombError: If the file is missing
            or broken; see ``IMAGE_ERRORS``.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ValueError(
            'PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, which hides truncated images; '
            'set it to False'
        )
    with open_whole(path) as image:
        image.load()
        return loaded_size(image, rotate)


def _is_inside(path: str, folder: StrPath | None, findings: list[Finding]) -> bool:
    """Return whether a path is inside its folder; append a finding if not."""
    if folder is None:
        return True
    try:
        inside(folder, os.path.abspath(path))
    except ValueError as error:
        findings.append(Finding('path leaves the data root', path, str(error)))
        return False
    return True
