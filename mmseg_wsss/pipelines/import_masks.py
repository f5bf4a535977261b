"""Import masks of other tools: check them with tags, vote, write pseudo-labels."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmseg_wsss.datasets.checks.check_files import image_size
from mmseg_wsss.datasets.label_maps import (
    IMAGE_ERRORS,
    LabelRule,
    read_label_map,
    voc_palette,
    write_label_map,
)
from mmseg_wsss.datasets.region_files import check_size, read_regions
from mmseg_wsss.datasets.tags import ImageTags
from mmseg_wsss.evaluation import disagreement, tag_coverage
from mmseg_wsss.models.pseudo_labels import keep_tagged, vote_regions
from mmseg_wsss.utils.files import StrPath, atomic_write, inside
from mmseg_wsss.utils.parallel import parallel_map, single_thread

from .export_files import prepare_folder, unfinished
from .import_inputs import ImportSettings, Sample, digest_of, find_samples
from .import_report import Record, write_report
from .stages import only_one


def import_masks(
    masks: StrPath,
    images: StrPath,
    tags: ImageTags,
    out: StrPath,
    settings: ImportSettings,
    *,
    pseudo: StrPath | None = None,
    names: Sequence[str] | None = None,
    mask_suffix: str | None = None,
    image_suffix: str | None = None,
    workers: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Import a folder of masks; an interrupted import resumes.

    The function writes ``masks/NAME.png`` of the accepted images (palette PNG, labels
    as in exported pseudo-labels), lists of the images with and without a mask,
    ``records/NAME.json`` of each image, ``report.json`` and, with pseudo-masks,
    ``disagreement.csv``. Images with unchanged files are not imported again.

    Args:
        masks: Folder of the masks, see :func:`find_masks` for their names.
        images: Folder of the images.
        tags: Tags of the images; images without an entry are rejected, unless
            ``settings.tags_from_masks`` is set.
        out: Folder to write to.
        settings: Settings that determine the masks.
        pseudo: Folder of exported pseudo-masks.
        names: Names of the images to import; by default all below ``images``.
        mask_suffix: Suffix of a mask after the name of its image, such as
            ``_manual.png``, in place of the known ones.
        image_suffix: End of the names of images that names of masks lack, such as
            ``_leftImg8bit``.
        workers: Number of processes; 0 uses this process.
        overwrite: Whether to replace the masks of other settings in ``out``.
        progress: Whether to show the progress on standard error.

    Returns:
        The report, see :func:`~mmseg_wsss.pipelines.import_report.write_report`.

    Raises:
        FileNotFoundError: If a folder or file is missing.
        FileExistsError: If ``out`` has masks of other settings, and ``overwrite`` is
            off.
        BlockingIOError: If another import into ``out`` is running.
        ValueError: If a file is broken or has another size or other labels than
            expected, if pseudo-masks are required but not given, if a folder would be
            read and written, or if no image is accepted; the message names the file or
            folder.
    """
    if pseudo is None and (settings.class_free or settings.keep_uncovered):
        raise ValueError(
            'class-free masks and uncovered pixels take their classes from '
            'pseudo-masks; name their folder (--pseudo), as '
            'tools/export_pseudo_labels.py writes it'
        )
    for folder in (masks, pseudo):
        if folder and Path(folder).resolve() == Path(out, 'masks').resolve():
            raise ValueError(
                f'{folder} would be read and written; choose another folder as {out}'
            )
    samples = find_samples(
        masks, images, tags, out, settings, pseudo, names, mask_suffix, image_suffix
    )
    manifest = {'source': 'import_masks', **settings.plain(), 'pseudo': bool(pseudo)}
    folder = Path(out, 'masks')
    with only_one(folder):
        prepare_folder(folder, manifest, [sample.name for sample in samples], overwrite)
        work = partial(_import_image, out=out, settings=settings)
        results = parallel_map(work, samples, workers, 'Importing masks', progress)
        report = write_report(out, list(results), settings.classes, manifest)
    if not report['images']['accepted']:
        counts = ', '.join(f'{n} {status}' for status, n in report['images'].items())
        raise ValueError(
            f'{masks}: none of the images was accepted ({counts}); see '
            f'{Path(out, "report.json")}, and correct the tags, the names or '
            '--min-coverage'
        )
    return report


def _import_image(sample: Sample, out: StrPath, settings: ImportSettings) -> Record:
    """Write the mask and record of an image, or return its record if unchanged."""
    path = inside(out, f'masks/{sample.name}.png')
    record_path = inside(out, f'records/{sample.name}.json')
    digest = digest_of(sample, settings)
    try:
        record = json.loads(record_path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        record = {}
    if record.get('sha256') == digest:
        if record['status'] != 'accepted':
            return record
        if not unfinished(Path(out, 'masks'), [sample.name], soft=False):
            return record
    record = {'image': sample.name, 'sha256': digest}
    if settings.can_import(sample):
        with single_thread():
            labels, found = _labels_of(sample, settings)
        record |= found
        if record['status'] == 'accepted':
            palette = voc_palette(settings.num_classes)
            write_label_map(path, labels.numpy().astype(np.uint8), palette)
    else:
        missing = 'tags' if sample.tags is None else 'masks'
        record['status'] = f'without {missing}'
    if record['status'] != 'accepted':
        path.unlink(missing_ok=True)
    with atomic_write(record_path, 'w') as file:
        json.dump(record, file, indent=1)
    return record


def _labels_of(sample: Sample, settings: ImportSettings) -> tuple[Tensor, Record]:
    """Return the mask (H, W) of an image and its record."""
    assert sample.mask is not None
    try:
        size = image_size(sample.image)
    except IMAGE_ERRORS as error:
        raise ValueError(f'{sample.image}: unreadable image: {error}') from error
    background, vector = settings.background, sample.tags
    pseudo = None if sample.pseudo is None else _read(sample.pseudo, size, settings)
    record: Record = {}
    if settings.class_free:
        assert pseudo is not None
        assert vector is not None
        arrays = read_regions(sample.mask, size, settings.zero_is_region)
        regions = [torch.from_numpy(array) for array in arrays]
        labels = vote_regions(regions, pseudo, torch.from_numpy(vector), background)
        record['masks'] = len(regions)
    else:
        labels = _read(sample.mask, size, settings)
    min_pixels = settings.min_pixels
    if vector is None:
        vector, min_pixels = _tags_of(labels, settings), 1
        record['tags_from_mask'] = True
    found = tag_coverage(labels.numpy(), vector, background, min_pixels)
    tags = torch.from_numpy(vector)
    kept = keep_tagged(labels, tags, background)
    record |= {
        'status': 'accepted' if found.ratio >= settings.min_coverage else 'rejected',
        'coverage': found.ratio,
        'shown': [settings.classes[k] for k in found.shown],
        'missing': [settings.classes[k] for k in found.missing],
        'untagged': {settings.classes[k]: n for k, n in found.untagged.items()},
        'covered_pixels': _labeled_ratio(kept),
    }
    if pseudo is not None:
        difference = disagreement(labels.numpy(), pseudo.numpy(), settings.num_classes)
        record['disagreement'], record['differing_pixels'] = difference
        if settings.keep_uncovered:
            kept = torch.where(kept == 255, keep_tagged(pseudo, tags, background), kept)
    record['labeled_pixels'] = _labeled_ratio(kept)
    return kept, record


def _labeled_ratio(labels: Tensor) -> float:
    return float((labels != 255).float().mean())


def _tags_of(labels: Tensor, settings: ImportSettings) -> np.ndarray:
    """Return the tags (K,) of the classes that occur in a label map."""
    rule = LabelRule(len(settings.classes), settings.background)
    vector = np.zeros(len(settings.classes), np.uint8)
    vector[rule.tags(np.unique(labels.numpy()))] = 1
    return vector


def _read(path: Path, size: tuple[int, int], settings: ImportSettings) -> Tensor:
    """Read a label map (H, W) int64 and check its size and its labels."""
    labels = read_label_map(path)
    check_size(path, labels.shape, size)
    rule = LabelRule(len(settings.classes), settings.background)
    problem = rule.problem(np.unique(labels))
    if problem:
        raise ValueError(
            f'{path}: {problem}; expected the labels of '
            f'{"the background and " if settings.background else ""}'
            f'{len(settings.classes)} classes: correct the mask or --classes'
        )
    return torch.from_numpy(labels.astype(np.int64))
