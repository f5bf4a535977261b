"""Files of exported pseudo-labels: what they hold, and whether they are whole."""

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmseg_wsss.datasets.label_maps import IMAGE_ERRORS, open_whole
from mmseg_wsss.utils.files import atomic_write, inside

PathLike = str | os.PathLike[str]
MANIFEST = 'manifest.json'
SUFFIXES = ('.png', '.npz')
IGNORED_COLOR = (224, 224, 192)


@dataclass(frozen=True)
class ExportFormat:
    """What is written for an image.

    Args:
        source: Name of the pseudo-label, see the model's ``pseudo_sources``.
        palette: RGB colors of the C classes.
        soft: Whether to write the soft map beside the label.
        bg_thr: In place of the model's own labels, label a pixel with its highest
            foreground channel where that exceeds this value; elsewhere it is
            background, or 255 where there is no background class.
        background: Whether class 0 is the background.
    """

    source: str
    palette: Sequence[Sequence[int]]
    soft: bool = False
    bg_thr: float | None = None
    background: bool = True

    def label(self, label: Tensor, prob: Tensor) -> Tensor:
        """Label (H, W) to write, of the model's label (H, W) and soft map (C, H, W)."""
        if self.bg_thr is None:
            return label
        first = 1 if self.background else 0
        score, best = prob[first:].max(dim=0)
        below = 0 if self.background else 255
        return torch.where(score > self.bg_thr, best + first, below)


def prepare_folder(
    out_dir: PathLike, manifest: dict, names: Sequence[str], overwrite: bool = False
) -> None:
    """Write the manifest, or make sure that the files that lie there belong to it.

    Args:
        out_dir: Folder of the exported files.
        manifest: What the files depend on, numbers and text; equal manifests give
            equal files.
        names: Names of the images.
        overwrite: Whether files of another export are removed (those of the images
            only) where they lie in the way.

    Raises:
        FileExistsError: If the folder holds files of another export.
    """
    folder = Path(out_dir)
    path = folder / MANIFEST
    found = json.loads(path.read_text()) if path.exists() else {}
    if found:  # an export; what it was killed while writing is of no use
        for suffix in SUFFIXES:
            for part in folder.rglob(f'.*{suffix}.????????.tmp'):
                part.unlink()
    if found == manifest:
        return
    existing = [file for file in folder.rglob('*') if file.suffix in SUFFIXES]
    if existing and not overwrite:
        raise FileExistsError(
            f'{out_dir} holds {len(existing)} files of another export '
            f'({_difference(manifest, found)}); choose another folder, or overwrite it'
        )
    for file in {file for name in names for file in _files(out_dir, name)}:
        file.unlink(missing_ok=True)
    with atomic_write(path, 'w') as stream:
        json.dump(manifest, stream, indent=2)


def _difference(manifest: dict, found: dict) -> str:
    if not found:
        return f'it has no {MANIFEST}'
    return '; '.join(
        f'{key}: expected {manifest.get(key)!r}, found {found.get(key)!r}'
        for key in sorted(manifest.keys() | found.keys())
        if manifest.get(key) != found.get(key)
    )


def unfinished(out_dir: PathLike, names: Sequence[str], soft: bool) -> list[int]:
    """Index the images whose files are missing or damaged."""
    return [
        index
        for index, name in enumerate(names)
        if not _is_whole(*_files(out_dir, name), soft)
    ]


def write_pseudo_label(
    out_dir: PathLike, name: str, label: Tensor, prob: Tensor, options: ExportFormat
) -> None:
    """Write ``NAME.png`` with the dataset's palette, and the soft map where asked for.

    Args:
        out_dir: Folder of the files.
        name: Name of the image.
        label: Label map (H, W), integers in ``[0, C)`` or 255.
        prob: Soft map (C, H, W); it goes to ``NAME.npz`` in float16, channels that are
            zero everywhere left out (see ``mmseg_wsss.datasets.soft_maps``).
        options: What to write.

    Raises:
        ValueError: If a label lies outside its range, or the name leaves the folder.
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
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(_palette(options.palette))
    with atomic_write(png) as stream:
        image.save(stream, format='PNG')


def _palette(colors: Sequence[Sequence[int]]) -> list[int]:
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(colors)] = np.array(colors)
    table[255] = IGNORED_COLOR
    return table.flatten().tolist()


def _files(out_dir: PathLike, name: str) -> tuple[Path, Path]:
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
