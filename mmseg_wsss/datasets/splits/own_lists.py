"""Lists of one's own data in the format of UniMatch: "image mask" in each line."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from mmseg_wsss.utils.files import StrPath, read_utf8


def read_own_list(path: StrPath, folder: str | None = None) -> tuple[list[str], str]:
    """Read the images of a list with one or two columns.

    A line is the path of an image, or of an image and its mask, with suffixes:
    ``images/x/a.jpg masks/x/a.png``. Its name is the part in which both agree
    (``x/a``), and all images must be in the same folder (``images``), the ``img_path``
    of the dataset. Without masks the folder is ``folder``.

    Args:
        path: The list.
        folder: Folder of the images; by default it follows from the masks, and is
            empty if there are none.

    Returns:
        The names, and the folder.

    Raises:
        ValueError: If a line has other columns, an image lies outside the folder, its
            mask has another name, or it is listed twice (the message names file and
            line), or the list is empty.
    """
    names: dict[str, int] = {}
    lines = read_utf8(path).splitlines()
    for number, line in enumerate(lines, 1):
        columns = [column for column in _columns(line) if column != 'None']
        if not columns:
            continue
        try:
            name, found = _name_of(columns, folder)
            if name in names:
                raise ValueError(f'{name} is already listed in line {names[name]}')
        except ValueError as error:
            raise ValueError(f'{path}:{number}: {error}') from error
        folder = found
        names[name] = number
    if not names:
        raise ValueError(f'{path} lists no image')
    return list(names), folder or ''


def _columns(line: str) -> list[str]:
    line = line.strip().replace('\\', '/')
    separator = '\t' if '\t' in line else None
    return [column.strip() for column in line.split(separator) if column.strip()]


def _name_of(columns: Sequence[str], folder: str | None) -> tuple[str, str]:
    """Return the name of an image and its folder."""
    if len(columns) > 2:
        raise ValueError(f'expected an image and its mask, found {list(columns)}')
    paths = [PurePosixPath(column) for column in columns]
    for column, path in zip(columns, paths):
        if path.is_absolute() or '..' in path.parts:
            raise ValueError(f'expected paths below data_root, found {column!r}')
    parts = [path.with_suffix('').parts for path in paths]
    image = parts[0]
    if folder is None and len(parts) == 2:
        length = 0
        while length < min(map(len, parts)) and (
            parts[0][-1 - length] == parts[1][-1 - length]
        ):
            length += 1
        if length == 0:
            raise ValueError(
                f'image and mask have different names: {columns[0]}, {columns[1]}; '
                'mmseg finds the mask by the name of the image'
            )
        folder = '/'.join(image[: len(image) - length])
    above = PurePosixPath(folder or '').parts
    if image[: len(above)] != above:
        raise ValueError(f'expected an image in {folder}, found {columns[0]}')
    name = image[len(above) :]
    if len(parts) == 2 and parts[1][-len(name) :] != name:
        raise ValueError(f'{columns[1]} is not the mask of {"/".join(name)}')
    return '/'.join(name), folder or ''
