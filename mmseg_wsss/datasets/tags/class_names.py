"""Names of foreground classes, as users of our tools give them."""

from pathlib import Path

from mmseg_wsss.registry import DATASETS


def class_names(spec: str) -> tuple[str, ...]:
    """Foreground class names from a word on the command line.

    Args:
        spec: Name of a registered data set (``PascalVOCDataset``, or ``voc`` and
            ``coco_stuff`` for short), a text file with one name a line, or names
            separated by commas. A first class ``background`` is left out.

    Raises:
        ValueError: There is no name but the background.
    """
    if Path(spec).is_file():
        lines = Path(spec).read_text(encoding='utf-8-sig').splitlines()
        names = [line.strip() for line in lines]
    else:
        names = [name.strip() for name in spec.split(',')]
        if len(names) == 1:
            names = _of_dataset(names[0]) or names
    names = [name for name in names if name]
    if names and names[0] == 'background':
        names = names[1:]
    if not names:
        raise ValueError(f'{spec!r} names no foreground class')
    return tuple(names)


def _of_dataset(name: str) -> list[str]:
    short = {'voc': 'PascalVOCDataset', 'coco_stuff': 'COCOStuffDataset'}
    dataset = DATASETS.get(short.get(name, name))
    return list(getattr(dataset, 'METAINFO', {}).get('classes', ()))
