"""Write the affinity labels of a whole split."""

import json
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
from mmseg_wsss.utils import sha256_of
from mmseg_wsss.utils.files import StrPath
from mmseg_wsss.utils.progress import track

from .export import choose_dataloader, image_paths
from .export_files import (
    ExportFormat,
    given_names,
    prepare_folder,
    record_inputs,
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
    overwrite: bool = False,
) -> None:
    """Write the :func:`affinity_labels` of exported CAMs; complete files are kept.

    Given masks in the export of the CAMs are written unchanged; ``manifest.json`` in
    the folder lists them under ``given``, and prevents a mixture of settings, as
    ``inputs.json`` one of seeds.

    Args:
        cfg: Config of the CAMs; its ``export_dataloader`` lists the images.
        seed_dir: Folder of the export, with soft maps, background first.
        out_dir: Folder of the labels.
        alphas: Exponents of the strong and of the weak background.
        crf: Arguments of ``DenseCRF``.
        stream: Stream of the progress; standard error by default.
        overwrite: Whether to replace labels of other settings or seeds.

    Raises:
        FileExistsError: If the folder has labels of other settings or seeds, and
            ``overwrite`` is off; always, if it has files of these images that no export
            has written.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(dict(choose_dataloader(cfg, 'train')['dataset']))
    dataset.full_init()
    paths = image_paths(dataset)
    names = list(paths.values())
    options = ExportFormat('affinity label', dataset.metainfo['palette'])
    refine = MODELS.build({'type': 'DenseCRF', **(crf or {})})
    given = given_names(seed_dir).intersection(names)
    manifest = {
        'source': options.source,
        'alphas': list(alphas),
        'crf': json.loads(json.dumps(crf or {})),  # as it is read again
        **({'given': sorted(given)} if given else {}),
    }
    prepare_folder(out_dir, manifest, names, overwrite)
    seeds = {n: f'{seed_dir}/{n}.{"png" if n in given else "npz"}' for n in names}
    digests = {name: sha256_of(path) for name, path in seeds.items()}
    record_inputs(out_dir, digests, overwrite, 'seeds')
    todo = {names[index] for index in unfinished(out_dir, names, soft=False)}
    items = [item for item in paths.items() if item[1] in todo]
    for path, name in track(items, len(items), 'affinity labels', stream):
        if name in given:
            given_mask = read_label_map(seeds[name]).astype('int64')
            mask = torch.from_numpy(given_mask)
            write_pseudo_label(out_dir, name, mask, mask, options)
            continue
        prob = read_soft_map(seeds[name], len(options.palette))
        cam = torch.from_numpy(prob)[None, 1:].clamp(0, 1)
        img = mmcv.imread(path, channel_order='rgb')
        img = torch.from_numpy(img.transpose(2, 0, 1).copy())[None].float()
        tags = cam.flatten(2).any(2).float()
        label = affinity_labels(cam, tags, img, refine, alphas)
        write_pseudo_label(out_dir, name, label[0], cam[0], options)
