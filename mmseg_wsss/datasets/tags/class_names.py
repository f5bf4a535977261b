"""Names of foreground classes, as given on the command line."""

import os

from mmseg_wsss.registry import DATASETS
from mmseg_wsss.utils.files import read_utf8

from ..image_name import foreground_classes


def class_names(spec: str) -> tuple[str, ...]:
    """Return the foreground class names of a command line argument.

    Args:
        spec: Name of a registered dataset (``PascalVOCDataset``, or its short form
            ``voc`` or ``coco_stuff``), a text file with one name per line, or names
            separated by commas. A leading class ``background`` is left out.

    Raises:
        ValueError: If there is no foreground class, or the background is spelled in
            another way or not the first class.
    """
    if os.path.isfile(spec):  # Path.is_file raises for names of many classes
        names = read_utf8(spec).splitlines()
    else:
        names = spec.split(',')
        if len(names) == 1:
            names = _classes_of(spec) or names
    names = [name.strip() for name in names if name.strip()]
    if names:
        names = list(foreground_classes({'classes': names}))
    if not names:
        raise ValueError(f'{spec!r} names no foreground class')
    return tuple(names)


def _classes_of(name: str) -> list[str]:
    short = {'voc': 'PascalVOCDataset', 'coco_stuff': 'COCOStuffDataset'}
    dataset = DATASETS.get(short.get(name, name))
    return list(getattr(dataset, 'METAINFO', {}).get('classes', ()))
