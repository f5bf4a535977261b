"""Names of images in tag files, and of the classes that tags refer to."""

import os
import unicodedata
from collections.abc import Mapping
from typing import Any

from mmseg_wsss.utils.files import StrPath

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def image_name(path: StrPath, folder: StrPath | None) -> str:
    """Return the path of an image below its folder, without suffix."""
    name = os.path.normpath(os.fspath(path))
    if folder:
        prefix = os.path.join(os.path.normpath(os.fspath(folder)), '')
        name = name.removeprefix('' if prefix == './' else prefix)
    return os.path.splitext(name)[0].replace(os.sep, '/')


def tag_key(name: str) -> str:
    """Return the name under which an image is found in tag files.

    Names are equal if they differ only in suffixes of image files (``scan.tif.png``)
    or in their Unicode form: macOS stores decomposed names.

    Examples:
        >>> tag_key('scan.tif.PNG'), tag_key('v1.5')
        ('scan', 'v1.5')
    """
    if not name.isascii():
        name = unicodedata.normalize('NFC', name)
    while name.lower().endswith(IMAGE_SUFFIXES):
        stem = os.path.splitext(name)[0]
        if stem == name:  # a hidden file: '.png'
            break
        name = stem
    return name


def foreground_classes(metainfo: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the class names without a leading ``background``.

    Args:
        metainfo: Meta information of a dataset, with ``classes``.

    Returns:
        Names of the K foreground classes.

    Raises:
        ValueError: If there are no classes, or the background is spelled in another way
            or not the first class.
    """
    classes = tuple(metainfo.get('classes') or ())
    if not classes:
        raise ValueError(
            "the dataset names no classes; set metainfo=dict(classes=('background', "
            '...)) in its config'
        )
    wrong = [name for name in classes[1:] if is_background(name)]
    if not wrong and is_background(classes[0]) and classes[0] != 'background':
        wrong = [classes[0]]
    if wrong:
        raise ValueError(
            f'class {wrong[0]!r} would count as a foreground class: the background is '
            "the first class and spelled 'background'; change the classes of the "
            'dataset (metainfo)'
        )
    return classes[1:] if classes[0] == 'background' else classes


def is_background(name: str) -> bool:
    """Return whether a class name is a spelling of ``background``."""
    spellings = ('background', 'back ground', 'back_ground', 'back-ground', 'bg')
    return name.strip(' _-').lower() in spellings
