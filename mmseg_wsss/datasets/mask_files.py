"""Find the mask files of images, under the names used by other tools."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmseg_wsss.utils.files import StrPath

from .folders import walk_files
from .image_name import tag_key

# What annotation tools append to the name of an image.
ENDINGS = (
    '',
    '_mask',
    '_masks',
    '_seg',
    '_label',
    '_labels',
    '_labelIds',
    '_labelTrainIds',
)
CLASS_FREE_ENDINGS = (*ENDINGS, '_instanceIds')  # numbers of objects, not of classes
METADATA = 'metadata.csv'  # of the automatic generator of SAM, also without any mask


def find_masks(
    folder: StrPath,
    images: Mapping[str, StrPath],
    suffixes: Sequence[str],
    mask_suffix: str | None = None,
    class_free: bool = False,
    image_suffix: str | None = None,
) -> dict[str, Path]:
    """Find the masks of images.

    The mask of the image ``a`` is a file ``a.png`` or ``a.jpg.png``, possibly with one
    of the known endings after ``a`` or ``a.jpg``, or a folder ``a`` of PNG files.

    Args:
        folder: Folder of the masks, sub-folders included.
        images: Image files by their name: the path below the image folder, without
            suffix. They are not taken for masks if they lie in ``folder``, too.
        suffixes: Suffixes of mask files, in lower case.
        mask_suffix: Text that follows the name of the image, such as ``_manual.png``,
            instead of the known endings.
        class_free: Whether the masks have no class: a folder of PNG files may have the
            name of an image, and ``_instanceIds`` is a known ending.
        image_suffix: End of the names of images that names of masks lack, such as
            ``_leftImg8bit``.

    Returns:
        File or folder by name of the image, for images that have one.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If no file belongs to an image, several belong to one,
            ``mask_suffix`` has another suffix, or no image, or two of one name, have
            ``image_suffix``.
    """
    endings: Sequence[str] = CLASS_FREE_ENDINGS if class_free else ENDINGS
    if mask_suffix is not None:
        ending, suffix = os.path.splitext('a' + mask_suffix)  # of a hidden file: ''
        if suffix.lower() not in suffixes:
            raise ValueError(
                f'the mask suffix must end with {" or ".join(suffixes)}, got '
                f'{mask_suffix!r}'
            )
        suffixes, endings = (suffix.lower(),), (ending[1:],)
    keys = _keys(images, tag_key(image_suffix or ''))
    found: dict[str, Path] = {}
    others = []
    own = {os.path.realpath(path) for path in images.values()}
    for path in walk_files(folder):
        relative = path.relative_to(folder)
        stem, suffix = os.path.splitext(relative.as_posix())
        name = _owner(stem, keys, endings) if suffix.lower() in suffixes else None
        if os.path.realpath(path) in own:
            continue
        parts = class_free and (suffix.lower() == '.png' or path.name == METADATA)
        if name is None and parts:
            name = _owner(relative.parent.as_posix(), keys, ('',))
            path = path.parent
        if name is None:
            others.append(path)
        elif found.setdefault(name, path) != path:
            raise ValueError(
                f'{found[name]} and {path} are both masks of the image {name!r}; '
                'remove one, or name what follows the name of the image (--mask-suffix)'
            )
    if not found:
        example = next(iter(images), 'IMAGE')
        raise ValueError(
            f'{folder}: expected masks named as the images are ({example}'
            f'{"|".join(suffixes)}), found '
            f'{f"others, such as {others[0]}" if others else "no file"}; rename them, '
            'or name what follows the name of the image (--mask-suffix)'
        )
    return found


def _keys(images: Mapping[str, StrPath], image_suffix: str) -> dict[str, str]:
    """Return the names of the images by the names of their masks."""
    keys: dict[str, str] = {}
    for name in images:
        key = tag_key(name)
        if image_suffix and not key.endswith(image_suffix):
            continue
        key = key[: len(key) - len(image_suffix)]
        if image_suffix and key in keys:
            raise ValueError(
                f'{keys[key]!r} and {name!r} are one name without {image_suffix!r} '
                '(--image-suffix); rename one'
            )
        keys[key] = name
    if not keys and images:
        raise ValueError(
            f'expected names of images that end with {image_suffix!r} '
            f'(--image-suffix), found {next(iter(images))!r}'
        )
    return keys


def _owner(stem: str, keys: Mapping[str, str], endings: Sequence[str]) -> str | None:
    """Return the image that a path without suffix belongs to."""
    stem = tag_key(stem)
    for ending in endings:
        if stem.endswith(ending):
            key = tag_key(stem[: len(stem) - len(ending)])
            if key in keys:
                return keys[key]
    return None
