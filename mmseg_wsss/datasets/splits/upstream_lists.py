"""Lists of labeled and unlabeled images in the formats of published repositories."""

import re

from mmseg_wsss.utils.files import StrPath, read_utf8

# Name of an image within its file name; folders and suffixes differ between lists.
_IDS = {
    'voc': re.compile(r'\d{4}_\d{6}'),
    'cityscapes': re.compile(r'[a-z-]+_\d{6}_\d{6}'),
    'coco': re.compile(r'\d{12}'),
    'ade20k': re.compile(r'ADE_(?:train|val)_\d{8}'),
}
UPSTREAM = tuple(_IDS)


def read_upstream_list(path: StrPath, dataset: str) -> list[str]:
    """Read the images of a published list in any of the formats in use.

    Lines may contain ids, paths of images, "image mask" separated by spaces or a tab,
    or "image None", with any folders and suffixes.

    Args:
        path: The list.
        dataset: One of ``UPSTREAM``.

    Returns:
        Names as in the configs of the package: ``2007_000032``,
        ``train/aachen/aachen_000000_000019``, ``000000000009``, ``ADE_train_00000001``.

    Raises:
        ValueError: If a line contains no image, the mask of another image, or an image
            listed before (the message names file and line), or the list is empty.
    """
    names: dict[str, int] = {}
    lines = read_utf8(path).splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            name = _image_of(line, dataset)
            if name in names:
                raise ValueError(f'{name} is already listed in line {names[name]}')
        except ValueError as error:
            raise ValueError(f'{path}:{number}: {error}') from error
        names[name] = number
    if not names:
        raise ValueError(f'{path} lists no image')
    return list(names)


def _image_of(line: str, dataset: str) -> str:
    """Return the name of the image of a line."""
    columns = [column for column in line.split() if column != 'None']
    found = [_IDS[dataset].findall(column.rpartition('/')[2]) for column in columns]
    if not found or not all(found):
        raise ValueError(f'expected an image of {dataset}, found {line!r}')
    names = {ids[0] for ids in found}
    if len(names) > 1:
        raise ValueError(f'expected one image and its mask, found {sorted(names)}')
    name = names.pop()
    if dataset != 'cityscapes':
        return name
    part = 'val' if '/val/' in columns[0] or columns[0].startswith('val/') else 'train'
    return f'{part}/{name.split("_")[0]}/{name}'
