"""Predict the images of a test data loader, named by their paths."""

import copy
from collections.abc import Collection, Mapping
from typing import IO, Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.registry import DATASETS, MODELS
from mmseg_wsss.utils.configs import model_config
from mmseg_wsss.utils.files import StrPath
from mmseg_wsss.utils.progress import track

from .export import image_paths
from .export_files import ExportFormat, unfinished, write_pseudo_label
from .setting import apply_setting, drop_gt


@torch.no_grad()
def predict_images(
    cfg: Config,
    checkpoint: StrPath,
    out_dir: StrPath,
    options: Mapping[str, Any] | None = None,
    only: Collection[str] | None = None,
    stream: IO[str] | None = None,
) -> None:
    """Write the predictions as palette PNG files; complete files are kept.

    Args:
        cfg: Config with ``model``, ``test_dataloader`` and ``test_evaluator``; masks
            are not needed.
        checkpoint: Checkpoint with exactly the keys of the model.
        out_dir: Folder of the files, ``NAME.png``; a name is a path below the image
            folder.
        options: Arguments of :func:`apply_setting`, such as ``crf``.
        only: Names of the images to predict; all by default.
        stream: Stream of the progress; standard error by default.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    cfg = copy.deepcopy(cfg)
    drop_gt(cfg)
    dataset = DATASETS.build(copy.deepcopy(cfg.test_dataloader.dataset))
    paths = image_paths(dataset)
    names = list(paths.values())
    wanted = set(names if only is None else only)
    todo = [i for i in unfinished(out_dir, names, False) if names[i] in wanted]
    if not todo:
        return
    cfg.model = model_config(cfg)
    apply_setting(cfg, **(options or {}))
    model = MODELS.build(cfg.model)
    with safe_checkpoints():
        network = getattr(model, 'module', model)  # inside a WSSSTTAModel
        load_checkpoint(network, str(checkpoint), 'cpu', strict=True, logger='silent')
    model = model.to(get_device()).eval()
    loader = Runner.build_dataloader({**cfg.test_dataloader, 'sampler': todo})
    form = ExportFormat('prediction', dataset.metainfo['palette'])
    for batch in track(loader, len(loader), 'predictions', stream):
        for output in model.test_step(batch):
            label = output.pred_sem_seg.data[0]
            write_pseudo_label(out_dir, paths[output.img_path], label, label, form)
