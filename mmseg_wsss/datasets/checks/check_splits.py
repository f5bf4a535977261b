"""Check of whole splits: their files, their tags and their overlaps."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

from mmseg_wsss.utils.parallel import parallel_map

from .check_files import check_files
from .split import Finding, Report, Split


def check_splits(
    splits: Sequence[Split], workers: int = 0, progress: bool = False
) -> Report:
    """Check the files and tags of splits, and that splits do not overlap.

    Args:
        splits: The splits; several may have the same name (parts of a concatenated
            data set).
        workers: Number of processes that read images; 0 reads in the calling process.
        progress: Whether to show a progress bar.

    Returns:
        The findings, split by split, and the numbers of readable files.
    """
    report = Report()
    digests: dict[str, dict[str, str]] = {}
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
        for (digest, has_mask, findings), image in zip(results, images):
            report.findings += findings
            _count(report.images, split.name, digest is not None)
            _count(report.masks, split.name, has_mask)
            if digest is not None:
                digests.setdefault(split.name, {})[digest] = image.path
        report.findings += _check_tags(split)
    for first, second in combinations(digests, 2):
        report.findings += _find_overlap(first, second, digests[first], digests[second])
    return report


def _count(counts: dict[str, int], name: str, more: bool) -> None:
    counts[name] = counts.get(name, 0) + int(more)


def _find_repeated(split: Split) -> Iterable[Finding]:
    seen = set()
    for image in split.images:
        if image.path in seen:
            message = f'listed more than once in {split.name}'
            yield Finding('repeated image', image.path, message)
        seen.add(image.path)


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


def _check_tags(split: Split) -> list[Finding]:
    """Check that every image has tags, and that tags have images.

    A tag file may serve several splits, so an entry is wrong only if its image does not
    exist in the image folder either.
    """
    if split.tags is None:
        return []
    listed = {image.name for image in split.images}
    findings = [
        Finding('image without tags', p.path, f'no entry in {split.tags.source}')
        for p in split.images
        if p.name not in split.tags
    ]
    for name in split.tags.names:
        path = Path(split.folder or '.', name + split.img_suffix)
        if name not in listed and not path.is_file():
            message = f'{name!r}: neither in {split.name} nor a file {path}'
            location = split.tags.location(name)
            findings.append(Finding('tags without image', location, message))
    return findings
