"""Predictions, pseudo-labels and exported networks: the device against the CPU."""

from collections.abc import Iterator
from pathlib import Path

import torch
from helpers.methods import METHODS, TAG_NAMES
from helpers.tiny import batch_of, tiny_config, write_tiny_voc
from helpers.training import unformatted_configs
from mmengine.config import Config
from mmseg.apis import inference_model, init_model
from timing import to_device
from torch import Tensor

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.pipelines.export import export_from_config
from mmseg_wsss.pipelines.export_segmentor import export_segmentor
from mmseg_wsss.registry import MODELS

from .measuring import Setting

SHARE = 6
SAME = 0.99  # of the labels; random weights leave some pixels undecided
CLASSES = ['background', *TAG_NAMES]
PALETTE = [[30 * k, 0, 0] for k in range(len(CLASSES))]
PIPELINE = [{'type': 'LoadImageFromFile'}, {'type': 'PackSegInputs'}]


def rows(setting: Setting) -> Iterator[dict]:
    with unformatted_configs(), safe_checkpoints():
        data = write_tiny_voc(Path('voc').absolute())
        for name in setting.methods:
            row = {'what': name, 'ok': False}
            try:
                row |= row_of(name, data, Path(name).absolute(), setting)
            except Exception as error:
                row['error'] = repr(error)[:300]
            yield row


def row_of(name: str, data: Path, work: Path, setting: Setting) -> dict:
    work.mkdir()
    cfg = tiny_config(name, data, work, test_pipeline=PIPELINE)
    checkpoint = work / 'net.pth'
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    meta = {'dataset_meta': {'classes': CLASSES, 'palette': PALETTE}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, checkpoint)
    image = str(data / 'JPEGImages/1.png')
    same = {'inference_model': same_predictions(cfg, checkpoint, image, setting)}
    method, row = METHODS[name], {}
    if not method.semi:
        same |= same_pseudo_labels(name, cfg, checkpoint, setting)
        cfg.export_dataloader = cfg.val_dataloader
        source = method.pseudo_sources[-1]
        row['files'] = export_from_config(
            cfg, checkpoint, work / 'out', source, progress=False
        )
    if not method.classifier:
        students = ['student1'] if name in ('CPS', 'MKD') else ['student']
        networks = students if method.semi else []
        out, path = export_segmentor(cfg, checkpoint, networks, work / 'plain.pth')
        plain = Config.fromfile(path)
        plain.test_pipeline = PIPELINE
        same['exported'] = same_predictions(plain, out, image, setting)
    return row | {'ok': min(same.values()) >= SAME, 'same_labels': same}


def same_predictions(
    cfg: Config, checkpoint: Path, image: str, setting: Setting
) -> float:
    labels = []
    for device in ('cpu', setting.device):
        model = init_model(cfg, str(checkpoint), device)
        labels.append(inference_model(model, image).pred_sem_seg.data)
    return ratio_equal(*labels)


def same_pseudo_labels(
    name: str, cfg: Config, checkpoint: Path, setting: Setting
) -> dict[str, float]:
    """Return the ratio of equal labels of every source."""
    sources = METHODS[name].pseudo_sources
    results = []
    for device in ('cpu', setting.device):
        model = init_model(cfg, str(checkpoint), device)
        batch = to_device(batch_of(name, num=2, size=(65, 81)), device)
        with torch.no_grad():
            results.append(model.pseudo_labels(*batch, sources))
    return {
        source: min(ratio_equal(a[source][0], b[source][0]) for a, b in zip(*results))
        for source in sources
    }


def ratio_equal(first: Tensor, second: Tensor) -> float:
    return float((first.cpu() == second.cpu()).double().mean())
