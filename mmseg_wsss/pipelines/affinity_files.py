"""Write the affinity labels of a whole split."""

from collections.abc import Sequence
from typing import IO

import mmcv
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.soft_maps import read_soft_map
from mmseg_wsss.models.pseudo_labels import affinity_labels
from mmseg_wsss.registry import DATASETS, MODELS
from mmseg_wsss.utils.files import StrPath
from mmseg_wsss.utils.progress import track

from .export import choose_dataloader, image_paths
from .export_files import (
    ExportFormat,
    given_names,
    unfinished,
    write_pseudo_label,
)


def write_affinity_labels(
    cfg: Config,
    seed_dir: StrPath,
    out_dir: StrPath,
    alphas: Sequence[float] = (4.0, 32.0),
    crf: dict | None = None,
    stream: IO[str] | None = None,
) -> None:
    """Write the :func:`affinity_labels` of exported CAMs; complete files are kept.

    Given masks in the export of the CAMs are written unchanged.

    Args:
        cfg: Config of the CAMs; its ``export_dataloader`` lists the images.
        seed_dir: Folder of the export, with soft maps, background first.
        out_dir: Folder of the labels.
        alphas: Exponents of the strong and of the weak background.
        crf: Arguments of ``DenseCRF``.
        stream: Stream of the progress; standard error by default.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(dict(choose_dataloader(cfg, 'train')['dataset']))
    dataset.full_init()
    paths = image_paths(dataset)
    names = list(paths.values())
    options = ExportFormat('affinity label', dataset.metainfo['palette'])
    refine = MODELS.build({'type': 'DenseCRF', **(crf or {})})
    todo = {names[index] for index in unfinished(out_dir, names, soft=False)}
    items = [item for item in paths.items() if item[1] in todo]
    given = given_names(seed_dir)
    for path, name in track(items, len(items), 'affinity labels', stream):
        if name in given:
            given_mask = read_label_map(f'{seed_dir}/{name}.png').astype('int64')
            mask = torch.from_numpy(given_mask)
            write_pseudo_label(out_dir, name, mask, mask, options)
            continue
        prob = read_soft_map(f'{seed_dir}/{name}.npz', len(options.palette))
        cam = torch.from_numpy(prob)[None, 1:].clamp(0, 1)
        img = mmcv.imread(path, channel_order='rgb')
        img = torch.from_numpy(img.transpose(2, 0, 1).copy())[None].float()
        tags = cam.flatten(2).any(2).float()
        label = affinity_labels(cam, tags, img, refine, alphas)
        write_pseudo_label(out_dir, name, label[0], cam[0], options)
