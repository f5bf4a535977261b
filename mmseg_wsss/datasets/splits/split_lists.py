"""Split lists: text files with one image name per line."""

from collections.abc import Container, Sequence

from mmseg_wsss.utils.files import StrPath, atomic_write, inside, read_utf8

from ..image_name import IMAGE_SUFFIXES


def read_list(path: StrPath, known: Container[str] = ()) -> list[str]:
    """Read the names of a split list; empty lines are skipped.

    Args:
        path: The list.
        known: Names of images that exist; they may end with a suffix: ``scan.tif`` is
            the name of ``scan.tif.png``.

    Raises:
        ValueError: If a name leaves its folder or is not the name of an image, e.g. has
            a suffix, or the list is not UTF-8; the message names file and line.
        FileNotFoundError: If the file does not exist.
    """
    names = [line.strip() for line in read_utf8(path).splitlines()]
    for number, name in enumerate(names, 1):
        problem = None if name in known else problem_of_name(name)
        if problem:
            raise ValueError(f'{path}:{number}: {problem}')
        try:
            inside('.', name)
        except ValueError as error:
            raise ValueError(f'{path}:{number}: {error}') from error
    return [name for name in names if name]


def problem_of_name(line: str) -> str | None:
    """Return the problem of a line that should be the name of an image.

    Names may contain spaces and dots, but neither a second column nor the suffix of an
    image file.
    """
    columns = line.split()
    suffixes = [column.lower().endswith(IMAGE_SUFFIXES) for column in columns]
    if '\t' in line or sum(suffixes) > 1:
        return (
            f'expected the name of one image, found several columns: {line!r}; import '
            'such lists with tools/dataset_converters/semi_splits.py'
        )
    if any(suffixes):
        return f'expected a name without suffix, found {line!r}; remove the suffix'
    return None


def write_list(path: StrPath, names: Sequence[str]) -> None:
    """Write a split list, atomically."""
    with atomic_write(path, 'w') as file:
        file.writelines(f'{name}\n' for name in names)
