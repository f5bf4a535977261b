"""Check of whole splits: their files, their tags and their overlaps."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.parallel import parallel_map

from ..folders import walk_files
from ..image_name import image_name, tag_key
from .check_files import check_files
from .split import Finding, Report, Split


def check_splits(
    splits: Sequence[Split], workers: int = 0, progress: bool = False
) -> Report:
    """Check the files and tags of splits, and that splits do not overlap.

    Args:
        splits: The splits; several may have the same name (parts of a concatenated
            dataset).
        workers: Number of processes that read images; 0 reads in the calling process.
        progress: Whether to show a progress bar.

    Returns:
        The findings, split by split, and the numbers of readable files.
    """
    report = Report()
    known: dict[str, set[str]] = {}
    for split in splits:
        keys = {tag_key(image.name) for image in split.images}
        known.setdefault(split.name, set()).update(keys)
    digests: dict[str, dict[str, str]] = {}
    labels: dict[str, Counter[int]] = {}
    for split in splits:
        if not split.images:
            message = f'no image (*{split.img_suffix}) in {split.name}'
            report.findings.append(Finding('empty split', str(split.folder), message))
        report.findings += _find_repeated(split)
        # Workers receive the split with every chunk: leave out the large parts.
        check = partial(check_files, split=replace(split, images=(), tags=None))
        images = list({image.path: image for image in split.images}.values())
        title = f'checking {split.name}'
        results = parallel_map(check, images, workers, title, progress)
        found = labels.setdefault(split.name, Counter())
        for (digest, values, findings), image in zip(results, images):
            report.findings += findings
            _count(report.images, split.name, digest is not None)
            _count(report.masks, split.name, values is not None)
            found.update(values or ())
            if digest is not None:
                digests.setdefault(split.name, {})[digest] = image.path
        report.findings += _check_tags(split, known[split.name])
        report.remarks += _absent_tags(split)
    for name, found in labels.items():
        parts = [split for split in splits if split.name == name]
        report.findings += _check_labels(name, parts, found)
        report.remarks += _absent_labels(name, parts, found)
    for first, second in combinations(digests, 2):
        report.findings += _find_overlap(first, second, digests[first], digests[second])
    return report


def _count(counts: dict[str, int], name: str, more: bool) -> None:
    counts[name] = counts.get(name, 0) + int(more)


def _find_repeated(split: Split) -> Iterable[Finding]:
    paths: set[str] = set()
    seen: dict[str, str] = {}
    for image in split.images:
        first = seen.setdefault(tag_key(image.name), image.path)
        if image.path in paths:
            message = f'listed more than once in {split.name}'
            yield Finding('repeated image', image.path, message)
        elif first != image.path:
            message = f'has the name {image.name!r} of {first} in tag files and exports'
            yield Finding('repeated name', image.path, message)
        paths.add(image.path)


def _check_labels(
    name: str, splits: Sequence[Split], found: Counter[int]
) -> Iterable[Finding]:
    """Check the labels of all masks of the splits of one name."""
    if found.keys() == {0, IGNORE_INDEX}:
        message = (
            f'all masks of {name} contain 0 and 255 only, and 255 is ignored: every '
            'pixel is trained as class 0; store class 1 as 1'
        )
        yield Finding('labels of all masks', str(splits[0].mask_folder), message)


def _absent_labels(
    name: str, splits: Sequence[Split], found: Counter[int]
) -> Iterable[Finding]:
    classes = {value: text for split in splits for value, text in split.classes.items()}
    absent = [text for value, text in classes.items() if value not in found]
    if absent and found:
        message = f'in no mask of {name}: {", ".join(absent)}'
        yield Finding('absent class', str(splits[0].mask_folder), message)


def _absent_tags(split: Split) -> Iterable[Finding]:
    if split.tags is None:
        return
    present = {
        label
        for image in split.images
        if image.name in split.tags
        for label in split.tags.labels(image.name)
    }
    absent = [name for name in split.tags.classes if name not in present]
    if absent:
        message = f'no tag of an image of {split.name}: {", ".join(absent)}'
        yield Finding('absent class', split.tags.source, message)


def _find_overlap(
    first: str, second: str, files: dict[str, str], others: dict[str, str]
) -> Iterable[Finding]:
    """Compare the contents of two splits: digest -> path of each."""
    for digest in sorted(files.keys() & others.keys(), key=files.__getitem__):
        same = os.path.realpath(files[digest]) == os.path.realpath(others[digest])
        message = f'in {first} and {second}'
        if not same:
            message += f' with the same content as {others[digest]}'
        yield Finding('overlap of splits', files[digest], message)


def _check_tags(split: Split, known: Set[str]) -> list[Finding]:
    """Check that every image has tags, and that tags have images.

    A tag file may serve several splits, so an entry is wrong only if its image is
    neither among the ``known`` ones, of all parts of the split, nor in the folder.
    """
    if split.tags is None:
        return []
    findings = [
        Finding('image without tags', p.path, f'no entry in {split.tags.source}')
        for p in split.images
        if p.name not in split.tags and not split.partial_tags
    ]
    others = [name for name in split.tags.names if tag_key(name) not in known]
    files = set()
    if others:
        folder = split.folder or '.'
        files = {
            tag_key(image_name(path, folder))
            for path in (walk_files(folder) if os.path.isdir(folder) else ())
        }
    for name in others:
        if tag_key(name) not in files:
            path = Path(split.folder or '.', name + split.img_suffix)
            message = f'{name!r}: no image of {split.name}, and no file {path}'
            location = split.tags.location(name)
            findings.append(Finding('tags without image', location, message))
    return findings
