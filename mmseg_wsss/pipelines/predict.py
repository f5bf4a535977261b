"""Predict a folder of new images; an interrupted prediction resumes."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.dist import barrier, broadcast_object_list, get_dist_info
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from PIL import Image, ImageOps
from torch import nn

from mmseg_wsss.datasets.folders import walk_files
from mmseg_wsss.datasets.image_name import IMAGE_SUFFIXES
from mmseg_wsss.datasets.label_maps import IMAGE_ERRORS, open_whole
from mmseg_wsss.engine.checkpoints import read_checkpoint
from mmseg_wsss.registry import DATASETS, MODELS
from mmseg_wsss.utils import sha256_of
from mmseg_wsss.utils.configs import model_config
from mmseg_wsss.utils.files import StrPath, atomic_write, inside
from mmseg_wsss.utils.progress import ProgressBar
from mmseg_wsss.utils.settings import check_value
from mmseg_wsss.visualization.panels import draw_labels, legend_of, panel

from .export_files import (
    ExportFormat,
    prepare_folder,
    record_inputs,
    unfinished,
    write_pseudo_label,
)
from .stages import only_one

SHEET = 'contact_sheet.jpg'
TILE = 200  # longest side of an image in it
MAX_CLASSES = 255


def predict_folder(
    cfg: Config,
    checkpoint: StrPath,
    images: StrPath,
    out: StrPath,
    *,
    sheet_size: int = 24,
    overwrite: bool = False,
    progress: bool = True,
) -> int:
    """Predict all images below a folder, split over the ranks.

    For each image, ``out/masks`` gets a palette PNG, and ``out/overlays`` the image
    tinted in the colors of its classes. Images with complete files are skipped.

    Args:
        cfg: Config of a weakly supervised, semi-supervised or plain mmseg training.
        checkpoint: Checkpoint of this training.
        images: Folder of images without tags or masks; sub-folders are included.
        out: Folder of the results.
        sheet_size: Number of images in ``contact_sheet.jpg``, the first ones; 0 writes
            no contact sheet.
        overwrite: Whether to replace predictions of another model or of other images.
        progress: Whether rank 0 shows a progress bar.

    Returns:
        Number of images.

    Raises:
        FileNotFoundError: If the folder or the checkpoint is missing, or the folder has
            no image.
        FileExistsError: If ``out`` has predictions of another model, or of other images
            with the same names, and ``overwrite`` is off.
        BlockingIOError: If another process writes to ``out``.
        ValueError: If two images have the same name, a file is not a readable image,
            the checkpoint does not fit, or ``sheet_size`` is negative.
    """
    check_value('sheet_size (--sheet)', sheet_size, at_least=0)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    paths = find_images(images, out)
    names, masks = list(paths), Path(out, 'masks')
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f'expected a checkpoint, found no file {checkpoint}')

    def prepare() -> list[int]:
        manifest = {
            'checkpoint_sha256': sha256_of(checkpoint),
            'model': json.dumps(cfg.model, sort_keys=True, default=str),
            'pipeline': json.dumps(inference_pipeline(cfg), default=str),
        }
        prepare_folder(masks, manifest, names, overwrite)
        digests = {name: sha256_of(path) for name, path in paths.items()}
        record_inputs(masks, digests, overwrite)
        missing = {i for i, n in enumerate(names) if not _has_overlay(out, n)}
        return sorted(missing | set(unfinished(masks, names, soft=False)))

    rank, world_size = get_dist_info()
    with only_one(masks) if rank == 0 else nullcontext():
        todo = [prepare() if rank == 0 else []]
        broadcast_object_list(todo)
        model, meta = load_model(cfg, checkpoint)
        pipeline = Compose(inference_pipeline(cfg))
        options = ExportFormat('prediction', meta['palette'])
        own = todo[0][rank::world_size]
        hidden = not progress or rank > 0
        with ProgressBar('predictions', len(own), disable=hidden) as bar:
            for index in own:
                name = names[index]
                label = predict_image(model, pipeline, paths[name])
                write_overlay(out, name, paths[name], label, meta['palette'])
                write_pseudo_label(masks, name, label, label, options)
                bar.advance()
        barrier()
    if rank == 0 and sheet_size:
        write_sheet(out, names[:sheet_size], paths, meta)
    return len(names)


def find_images(folder: StrPath, out: StrPath) -> dict[str, Path]:
    """Return the images below a folder by name: the relative path without suffix.

    Hidden files and folders are left out, and ``out`` if it lies inside.

    Raises:
        FileNotFoundError: If there is no such folder, or no image below it.
        ValueError: If two images have the same name.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f'expected a folder of images, found no folder {root}')
    results = Path(out).resolve()
    found: dict[str, Path] = {}
    for path in walk_files(root):
        if not path.name.lower().endswith(IMAGE_SUFFIXES):
            continue
        if path.resolve().is_relative_to(results):
            continue
        name = path.relative_to(root).with_suffix('').as_posix()
        if name in found:
            raise ValueError(
                f'{found[name]} and {path} would have the same results; rename one'
            )
        found[name] = path
    if not found:
        raise FileNotFoundError(
            f'expected images ({", ".join(IMAGE_SUFFIXES)}) below {root}, found none'
        )
    return found


def inference_pipeline(cfg: Config) -> list[dict]:
    """Return the test pipeline of a config without the loading of annotations.

    Raises:
        ValueError: If the config has no test pipeline.
    """
    steps = cfg.get('test_pipeline')
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if loader:
        steps = loader['dataset'].get('pipeline', steps)
    if not steps:
        raise ValueError('expected test_pipeline in the config, found none')
    kept = [dict(step) for step in steps if 'Annotations' not in str(step['type'])]
    kept[-1].pop('meta_keys', None)
    return kept


def load_model(cfg: Config, checkpoint: StrPath) -> tuple[nn.Module, dict[str, Any]]:
    """Build the model of a config, load a checkpoint and find classes and palette.

    Returns:
        Model in eval mode, and meta information with ``classes`` and ``palette``.

    Raises:
        ValueError: If the checkpoint does not fit or the classes are unknown.
    """
    model = MODELS.build(model_config(cfg))
    loaded = read_checkpoint(checkpoint)
    state = loaded.get('state_dict', loaded)
    try:
        wrong = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        text = ' '.join(str(error).split())[:300]
        raise ValueError(f'{checkpoint} does not fit the config: {text}') from error
    if wrong.missing_keys or wrong.unexpected_keys:
        raise ValueError(
            f'{checkpoint} does not fit the config: it lacks {wrong.missing_keys[:3]} '
            f'and has {wrong.unexpected_keys[:3]} besides'
        )
    if not torch.cuda.is_available():
        model = revert_sync_batchnorm(model)
    meta = loaded.get('meta', {}).get('dataset_meta') or _meta_of_data(cfg)
    count = len(meta['classes'])
    palette = meta.get('palette') or _random_palette(count)
    if count > MAX_CLASSES:
        raise ValueError(f'expected at most {MAX_CLASSES} classes, found {count}')
    return model.to(get_device()).eval(), {**meta, 'palette': palette}


def _meta_of_data(cfg: Config) -> dict[str, Any]:
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        raise ValueError('the checkpoint and the config name no classes')
    dataset = loader['dataset']
    while 'dataset' in dataset or 'datasets' in dataset:  # wrappers, ConcatDataset
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    kind = DATASETS.get(dataset['type'])
    return dict(kind._load_metainfo(dataset.get('metainfo')) or kind.METAINFO)


def _random_palette(count: int) -> list[list[int]]:
    colors = np.random.default_rng(42).integers(0, 255, (count, 3)).tolist()
    return [[0, 0, 0], *colors[1:]]


@torch.no_grad()
def predict_image(model: Any, pipeline: Compose, path: Path) -> torch.Tensor:
    """Predict the classes (H, W) int64 of an image at its original size.

    Raises:
        ValueError: If the file is not a readable image.
    """
    try:
        open_whole(path).close()
        data = pipeline({'img_path': str(path)})
    except (*IMAGE_ERRORS, AssertionError, cv2.error) as error:
        raise ValueError(f'{path} is no readable image: {error}') from error
    (sample,) = model.test_step(pseudo_collate([data]))
    return sample.pred_sem_seg.data[0].long().cpu()


def overlay_path(out: StrPath, name: str) -> Path:
    """Return the path of the overlay of an image."""
    return inside(Path(out, 'overlays'), f'{name}.jpg')


def _has_overlay(out: StrPath, name: str) -> bool:
    try:
        open_whole(overlay_path(out, name)).close()
    except IMAGE_ERRORS:
        return False
    return True


def _read_rgb(path: Path) -> Image.Image:
    """Read an image upright; scale values of more than 8 bits by their maximum."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
    if image.mode[0] in 'IF':
        values = np.asarray(image).astype(np.float32).clip(min=0)
        values *= 255 / max(values.max(), 1)
        image = Image.fromarray(values.astype(np.uint8))
    return image.convert('RGB')


def write_overlay(
    out: StrPath, name: str, path: Path, label: torch.Tensor, palette: Sequence
) -> None:
    """Write an image tinted in its class colors; a black background stays black."""
    size = label.shape[1], label.shape[0]
    img = np.asarray(_read_rgb(path).resize(size))
    drawn = draw_labels(img, label, palette)
    if not any(palette[0]):
        drawn[label.numpy() == 0] = 0
    with atomic_write(overlay_path(out, name)) as stream:
        Image.fromarray(drawn).save(stream, format='JPEG', quality=92)


def write_sheet(
    out: StrPath, names: Sequence[str], paths: Mapping[str, Path], meta: Mapping
) -> None:
    """Write ``contact_sheet.jpg``: images, their overlays and a legend."""
    rows, labels = [], []
    for name in names:
        images = {'image': paths[name], 'prediction': overlay_path(out, name)}
        row = {title: _read_rgb(path) for title, path in images.items()}
        for img in row.values():
            img.thumbnail((TILE, TILE))
        rows.append({title: np.asarray(img) for title, img in row.items()})
        with Image.open(Path(out, 'masks', f'{name}.png')) as file:
            labels.append(np.unique(np.asarray(file)))
    sheet = panel(rows, legend_of(labels, meta['classes'], meta['palette']), TILE)
    with atomic_write(Path(out, SHEET)) as stream:
        Image.fromarray(sheet).save(stream, format='JPEG', quality=92)
