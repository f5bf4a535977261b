"""Image tags from the objects of PASCAL VOC annotations."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mmseg_wsss.utils.files import StrPath

from ..folders import files_below
from ..image_name import tag_key
from .image_tags import ImageTags
from .records import TagRecord, TagRecords


def tags_from_voc_xml(
    folder: StrPath,
    classes: Sequence[str],
    skip_difficult: bool = False,
    skip_unknown: bool = False,
    images: Iterable[str] | None = None,
    allow_empty: bool = False,
) -> ImageTags:
    """Collect the objects named in a folder of VOC annotations.

    Args:
        folder: Folder with one XML file per image, of the same stem.
        classes: Names of the foreground classes.
        skip_difficult: Whether objects marked ``difficult`` are ignored.
        skip_unknown: Ignore objects that are not in ``classes`` instead of raising.
        images: Read the files of these images only.
        allow_empty: Whether images may have no tags.

    Raises:
        TagError: If files are broken or declare a DOCTYPE, or tags are wrong; lists
            all problems.
        FileNotFoundError: If the folder does not exist.
    """
    files = files_below(folder, '.xml')
    if images is not None:
        images = list(images)
        by_key = {tag_key(name): path for name, path in files.items()}
        files = {n: by_key[tag_key(n)] for n in images if tag_key(n) in by_key}
    found = TagRecords(has_ids=True)
    for image, path in files.items():
        _read_objects(image, path, skip_difficult, found)
    return ImageTags.from_records(
        found, classes, str(folder), images, allow_empty, skip_unknown=skip_unknown
    )


def _read_objects(
    image: str, path: Path, skip_difficult: bool, found: TagRecords
) -> None:
    """Append the record, or the problems, of one annotation file."""
    try:
        root = parse_xml(path)
    except (ValueError, OSError) as error:
        found.problems.append(str(error))
        return
    names: dict[str, None] = {}
    for number, item in enumerate(root.findall('object'), 1):
        name = (item.findtext('name') or '').strip()
        if not name:
            found.problems.append(f'{path}: object {number} has no name')
        elif not (skip_difficult and (item.findtext('difficult') or '').strip() == '1'):
            names[name] = None
    found.records.append(TagRecord(image, tuple(names), str(path)))


def parse_xml(path: StrPath) -> Element:
    """Parse an XML file that declares no document type, and thus no entities.

    Raises:
        ValueError: If the XML is broken or declares a DOCTYPE; names the file and, if
            known, the line.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise ValueError(
            f'{path}:{parser.CurrentLineNumber}: a DOCTYPE is not accepted, since its '
            'entities can exhaust the memory or read other files; remove it'
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
