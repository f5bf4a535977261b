"""Write the files of exported pseudo-labels, and check that they are complete."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmseg_wsss.datasets.label_maps import IMAGE_ERRORS, open_whole, write_label_map
from mmseg_wsss.utils.files import StrPath, atomic_write, inside
from mmseg_wsss.utils.settings import check_value

MANIFEST = 'manifest.json'
INPUTS = 'inputs.json'
SUFFIXES = ('.png', '.npz')


@dataclass(frozen=True)
class ExportFormat:
    """Content of the files of an image.

    Args:
        source: Name of the pseudo-label, see the model's ``pseudo_sources``.
        palette: RGB colors of the C classes.
        soft: Whether to write the soft map as well.
        bg_thr: Threshold that labels the soft map, in place of the labels of the model:
            a pixel gets the class of its highest foreground channel if this channel
            exceeds the threshold. Otherwise it is background, or 255 if there is no
            background class.
        background: Whether class 0 is the background.

    Raises:
        ValueError: If ``bg_thr`` is outside [0, 1], the range of soft maps.
    """

    source: str
    palette: Sequence[Sequence[int]]
    soft: bool = False
    bg_thr: float | None = None
    background: bool = True

    def __post_init__(self) -> None:
        if self.bg_thr is not None:
            check_value('bg_thr', self.bg_thr, at_least=0, at_most=1)

    def label(self, label: Tensor, prob: Tensor) -> Tensor:
        """Compute the label to write from a label (H, W) and a soft map (C, H, W)."""
        if self.bg_thr is None:
            return label
        first = 1 if self.background else 0
        score, best = prob[first:].max(dim=0)
        below = 0 if self.background else 255
        return torch.where(score > self.bg_thr, best + first, below)


def prepare_folder(
    out_dir: StrPath, manifest: dict, names: Sequence[str], overwrite: bool = False
) -> None:
    """Write the manifest, or check that existing files belong to it.

    Args:
        out_dir: Folder of the exported files.
        manifest: Everything that determines the files, as JSON values.
        names: Names of the images.
        overwrite: Whether to remove the files of another export: of these images, and
            of those in ``inputs.json``.

    Raises:
        FileExistsError: If the folder has files of another export and ``overwrite`` is
            off; always, if it has files of these images that no export has written.
    """
    folder = Path(out_dir)
    path = folder / MANIFEST
    found = json.loads(path.read_text()) if path.exists() else {}
    if found:  # an export, perhaps with temporary files of a killed one
        for suffix in SUFFIXES:
            for part in folder.rglob(f'.*{suffix}.????????.tmp'):
                part.unlink()
    if found == manifest:
        return
    existing = [file for file in folder.rglob('*') if file.suffix in SUFFIXES]
    files = {file for name in names for file in _files(out_dir, name)}
    foreign = [] if found else sorted(file for file in files if file.exists())
    if foreign:
        raise FileExistsError(
            f'{out_dir} holds {len(foreign)} files of these images that no export has '
            f'written (there is no {MANIFEST}), such as {foreign[0].name}; choose '
            'another folder'
        )
    if existing and not overwrite:
        raise FileExistsError(
            f'{out_dir} holds {len(existing)} files of another export '
            f'({_difference(manifest, found)}); choose another folder or set overwrite'
        )
    if found:  # its images may be others
        inputs = folder / INPUTS
        old = json.loads(inputs.read_text()) if inputs.is_file() else {}
        files |= {inputs, *(file for name in old for file in _files(out_dir, name))}
    for file in files:
        file.unlink(missing_ok=True)
    with atomic_write(path, 'w') as stream:
        json.dump(manifest, stream, indent=2)


def given_names(out_dir: StrPath) -> set[str]:
    """Return the names of the images that were exported with their given masks."""
    path = Path(out_dir) / MANIFEST
    found = json.loads(path.read_text()) if path.is_file() else {}
    return set(found.get('given', []))


def record_inputs(
    out_dir: StrPath,
    digests: Mapping[str, str],
    overwrite: bool = False,
    what: str = 'images',
) -> None:
    """Record the inputs of the files of each image, or check that they are unchanged.

    Args:
        out_dir: Folder of the exported files.
        digests: SHA-256 of the input of each image, by the name of the image.
        overwrite: Whether to remove the files of images with changed inputs.
        what: Kind of the input, for the message.

    Raises:
        FileExistsError: If the folder has files made from another input, and
            ``overwrite`` is off.
    """
    path = Path(out_dir, INPUTS)
    known = json.loads(path.read_text()) if path.is_file() else {}
    changed = [name for name, new in digests.items() if known.get(name, new) != new]
    if changed and not overwrite:
        raise FileExistsError(
            f'{out_dir} has files made from other {what} of {len(changed)} names, the '
            f'first is {changed[0]}; choose another folder or set overwrite'
        )
    for file in {file for name in changed for file in _files(out_dir, name)}:
        file.unlink(missing_ok=True)
    if not digests.items() <= known.items():
        with atomic_write(path, 'w') as stream:
            json.dump(known | dict(digests), stream, indent=1)


def _difference(manifest: dict, found: dict) -> str:
    if not found:
        return f'it has no {MANIFEST}'
    return '; '.join(
        f'{key}: expected {manifest.get(key)!r:.80}, found {found.get(key)!r:.80}'
        for key in sorted(manifest.keys() | found.keys())
        if manifest.get(key) != found.get(key)
    )


def unfinished(out_dir: StrPath, names: Sequence[str], soft: bool) -> list[int]:
    """Return the indices of the images with missing or damaged files."""
    return [
        index
        for index, name in enumerate(names)
        if not _is_whole(*_files(out_dir, name), soft)
    ]


def write_pseudo_label(
    out_dir: StrPath, name: str, label: Tensor, prob: Tensor, options: ExportFormat
) -> None:
    """Write ``NAME.png`` with the palette, and ``NAME.npz`` with the soft map.

    Args:
        out_dir: Folder of the files.
        name: Name of the image.
        label: Label map (H, W), integers in ``[0, C)`` or 255.
        prob: Soft map (C, H, W); written in float16 if ``options.soft``, without
            channels that are zero everywhere (see ``mmseg_wsss.datasets.soft_maps``).
        options: Content of the files.

    Raises:
        ValueError: If a label is out of range, or the name leaves the folder.
    """
    png, npz = _files(out_dir, name)
    labels = options.label(label, prob).cpu().numpy()
    num_classes = len(options.palette)
    wrong = (labels < 0) | ((labels >= num_classes) & (labels != 255))
    if wrong.any():
        raise ValueError(
            f'{name}: expected {options.source} labels in [0, {num_classes}) or 255, '
            f'found {np.unique(labels[wrong])[:10].tolist()}'
        )
    if options.soft:
        prob = prob.float().cpu()
        channels = prob.flatten(1).any(dim=1).nonzero()[:, 0]
        with atomic_write(npz) as stream:
            np.savez_compressed(
                stream,
                prob=prob[channels].numpy().astype(np.float16),
                channels=channels.numpy().astype(np.int16),
            )
    write_label_map(png, labels.astype(np.uint8), options.palette)


def write_given_mask(
    out_dir: StrPath, name: str, sample: Any, options: ExportFormat
) -> None:
    """Write the mask of a labeled image in the format of :func:`write_pseudo_label`.

    The soft map is 1 for the class of a pixel, and 0 for the others.

    Raises:
        ValueError: If mask and image differ in size.
    """
    mask, size = sample.gt_sem_seg.data[0], tuple(sample.ori_shape[:2])
    if tuple(mask.shape) != size:
        raise ValueError(
            f'{sample.img_path}: expected a mask of {size} pixels, found '
            f'{tuple(mask.shape)}; load masks after the transforms that change the size'
        )
    classes = torch.arange(len(options.palette))[:, None, None]
    plain = replace(options, bg_thr=None)
    write_pseudo_label(out_dir, name, mask, (mask == classes).float(), plain)


def _files(out_dir: StrPath, name: str) -> tuple[Path, Path]:
    return inside(out_dir, f'{name}.png'), inside(out_dir, f'{name}.npz')


def _is_whole(png: Path, npz: Path, soft: bool) -> bool:
    try:
        open_whole(png).close()
        if soft:
            with zipfile.ZipFile(npz) as archive:
                return len(archive.namelist()) == 2
    except (*IMAGE_ERRORS, zipfile.BadZipFile):
        return False
    return True
