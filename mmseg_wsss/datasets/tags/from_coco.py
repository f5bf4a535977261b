"""Image tags from the categories of COCO annotations."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mmseg_wsss.utils.files import StrPath, read_utf8

from .image_tags import ImageTags
from .records import TagRecord, TagRecords
from .text_input import parse_json, refuse_pickles


def tags_from_coco(
    path: StrPath,
    classes: Sequence[str] | None = None,
    skip_unknown: bool = False,
    images: Iterable[str] | None = None,
    allow_empty: bool = False,
) -> ImageTags:
    """Collect the categories present in each image of a COCO file.

    Args:
        path: COCO JSON with ``images``, ``annotations`` and ``categories``.
        classes: Names of the foreground classes; by default all categories in the
            order of their ids.
        skip_unknown: Ignore categories that are not in ``classes`` instead of raising.
        images: Read only these images, identified by ``file_name``.
        allow_empty: Whether images may have no tags.

    Raises:
        TagError: If annotations are wrong, or images are missing; lists all problems.
        ValueError: If the file is not a COCO file.
    """
    refuse_pickles(path)
    content = parse_json(path, read_utf8(path))
    if not isinstance(content, dict) or 'images' not in content:
        raise ValueError(f'{path}: not a COCO file: "images" is missing')
    found = _read_records(path, content)
    if classes is None:
        categories = sorted(content['categories'], key=lambda entry: entry['id'])
        classes = [str(entry['name']) for entry in categories]
    images = None if images is None else list(images)
    found.keep(images)
    return ImageTags.from_records(
        found, classes, str(path), images, allow_empty, skip_unknown=skip_unknown
    )


def _read_records(path: StrPath, content: dict) -> TagRecords:
    try:
        names = {entry['id']: str(entry['name']) for entry in content['categories']}
        images = {e['id']: str(e['file_name']) for e in content['images']}
        annotations = [
            (e.get('id'), e['image_id'], e['category_id'])
            for e in content.get('annotations', [])
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path}: not a COCO file: {error!r} is missing') from error
    found = TagRecords()
    for key in ('images', 'categories'):
        ids = Counter(entry['id'] for entry in content[key])
        repeated = [number for number, count in ids.items() if count > 1]
        if repeated:
            found.problems.append(
                f'{path}: {key}: the id {repeated[0]!r} occurs more than once, as in '
                'merged files; number them anew'
            )
    present: dict[Any, dict[str, None]] = {key: {} for key in images}
    for number, image, category in annotations:
        location = f'{path}: annotation {number}'
        if image not in present:
            found.problems.append(f'{location}: unknown image_id {image!r}')
        elif category not in names:
            found.problems.append(f'{location}: unknown category_id {category!r}')
        else:
            present[image][names[category]] = None
    found.records = [
        TagRecord(name, tuple(present[key]), f'{path}: image {key}')
        for key, name in images.items()
    ]
    return found
