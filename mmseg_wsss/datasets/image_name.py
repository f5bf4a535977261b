"""Names of images in tag files, and of the classes that tags refer to."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

StrPath = str | os.PathLike[str]


def image_name(path: StrPath, folder: StrPath | None) -> str:
    """Return the path of an image below its folder, without suffix."""
    path = Path(path)
    if folder is not None and path.is_relative_to(folder):
        path = path.relative_to(folder)
    return path.with_suffix('').as_posix()


def foreground_classes(metainfo: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the class names without a leading ``background``."""
    classes = tuple(metainfo['classes'])
    return classes[1:] if classes[0] == 'background' else classes
