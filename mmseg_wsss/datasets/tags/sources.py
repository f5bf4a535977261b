"""Image-level labels from annotations made for other ends: COCO, VOC XML, masks."""

import os
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from mmseg_wsss.utils.parallel import parallel_map

from ..label_maps import LabelRule, read_label_map
from .readers import TagFile, TagRecord, parse_json, read_utf8

StrPath = str | os.PathLike[str]


def is_coco(path: StrPath) -> bool:
    """Whether a JSON file is of COCO's kind: it has a list of objects ``images``."""
    return re.search(r'"images"\s*:\s*\[\s*\{', read_utf8(path)) is not None


def read_coco(path: StrPath) -> tuple[TagFile, list[str]]:
    """Read a COCO file: records, and its category names in the order of their ids.

    Raises:
        ValueError: Not a COCO file.
    """
    content = parse_json(path, read_utf8(path))
    if not isinstance(content, dict) or 'images' not in content:
        raise ValueError(f'{path}: not a COCO file: no "images"')
    file = _coco_records(path, content)
    categories = sorted(content['categories'], key=lambda entry: entry['id'])
    return file, [str(entry['name']) for entry in categories]


def _coco_records(path: StrPath, content: dict) -> TagFile:
    """Collect the categories present in each image of a parsed COCO file."""
    file = TagFile()
    try:
        names = {entry['id']: str(entry['name']) for entry in content['categories']}
        images = {e['id']: str(e['file_name']) for e in content['images']}
        annotations = [
            (e.get('id'), e['image_id'], e['category_id'])
            for e in content.get('annotations', [])
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path}: not a COCO file: {error!r} is missing') from error
    present: dict[Any, dict[str, None]] = {key: {} for key in images}
    for number, image, category in annotations:
        where = f'{path}: annotation {number}'
        if image not in present:
            file.problems.append(f'{where}: unknown image_id {image!r}')
        elif category not in names:
            file.problems.append(f'{where}: unknown category_id {category!r}')
        else:
            present[image][names[category]] = None
    file.records = [
        TagRecord(name, tuple(present[key]), f'{path}: image {key}')
        for key, name in images.items()
    ]
    return file


def parse_xml(path: StrPath) -> Element:
    """Parse XML that declares no document type, and so no entities to expand.

    Raises:
        ValueError: Broken XML, or a DOCTYPE; names the file and, if known, the line.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise ValueError(
            f'{path}:{parser.CurrentLineNumber}: a DOCTYPE is not accepted, since its '
            'entities can exhaust the memory or read other files'
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(Path(path).read_bytes(), True)
        return builder.close()
    except expat.ExpatError as error:
        raise ValueError(f'{path}:{error.lineno}: broken XML: {error}') from error


def read_voc_xml(files: Mapping[str, Path], keep_difficult: bool = True) -> TagFile:
    """Read VOC annotations: the names of the objects of each image.

    Args:
        files: XML file of every image.
        keep_difficult: Whether objects marked ``difficult`` count.
    """
    file = TagFile(has_ids=True)
    for image, path in files.items():
        try:
            root = parse_xml(path)
        except (ValueError, OSError) as error:
            file.problems.append(str(error))
            continue
        names: dict[str, None] = {}
        for number, thing in enumerate(root.findall('object'), 1):
            name = (thing.findtext('name') or '').strip()
            if not name:
                file.problems.append(f'{path}: object {number} has no name')
            elif keep_difficult or (thing.findtext('difficult') or '0').strip() != '1':
                names[name] = None
        file.records.append(TagRecord(image, tuple(names), str(path)))
    return file


def _mask_tags(path: Path, rule: LabelRule, min_pixels: int) -> list[int] | str:
    """Tags of a mask, or what is wrong with it."""
    try:
        values, counts = np.unique(read_label_map(path), return_counts=True)
    except ValueError as error:
        return str(error)
    complaint = rule.complaint(values)
    if complaint:
        return f'{path}: {complaint}'
    return rule.tags(values[counts >= min_pixels])


def read_masks(
    files: Mapping[str, Path],
    rule: LabelRule,
    classes: Iterable[str],
    min_pixels: int = 1,
    workers: int = 0,
    progress: bool = False,
) -> TagFile:
    """Derive the tags of every image from its label map."""
    names = list(classes)
    read = partial(_mask_tags, rule=rule, min_pixels=min_pixels)
    file = TagFile(has_ids=True)
    results = parallel_map(read, files.values(), workers, 'reading masks', progress)
    for found, (image, path) in zip(results, files.items()):
        if isinstance(found, str):
            file.problems.append(found)
        else:
            tags = tuple(names[index] for index in found)
            file.records.append(TagRecord(image, tags, str(path)))
    return file
