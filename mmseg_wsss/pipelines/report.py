"""Write the report of a pipeline: scores of all label maps, and images."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmcv
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.soft_maps import read_soft_map
from mmseg_wsss.evaluation.confusion import (
    LabelScores,
    confusion_matrix,
    label_scores,
    threshold_confusion,
)
from mmseg_wsss.evaluation.pseudo_label_metric import DEFAULT_THRESHOLDS
from mmseg_wsss.registry import DATASETS
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.visualization.panels import label_row, legend_of, panel

from .export import choose_dataloader, image_paths

Scores = Mapping[str, LabelScores]


def write_report(
    seeds: Config,
    network: Config,
    train_labels: Mapping[str, Path],
    val_labels: Mapping[str, Path],
    seed_maps: Path,
    out_dir: Path,
    split: str = 'train',
    num_images: int = 6,
) -> dict[str, float]:
    """Write ``report.md``, ``report.html`` and ``report.png``.

    Args:
        seeds: Config of the CAMs.
        network: Config of the network; ``test_dataloader`` has the test images.
        train_labels: Folders of labels of the training images, by title.
        val_labels: Folders of predictions, by title.
        seed_maps: Folder of the CAMs; they are evaluated at the background threshold
            with the best mIoU.
        out_dir: Folder of the report.
        split: Split of ``seeds`` that has training images with masks, see
            :func:`choose_dataloader`.
        num_images: Number of training images in the panel, spread over the list.

    Returns:
        mIoU in per cent, by title.
    """
    init_default_scope(seeds.get('default_scope', 'mmseg'))
    train = DATASETS.build(dict(choose_dataloader(seeds, split)['dataset']))
    test = DATASETS.build(dict(network.test_dataloader['dataset']))
    title, best = _best_seeds(train, seed_maps)
    scores = {title: best}
    for dataset, folders in ((train, train_labels), (test, val_labels)):
        gt = _gt_files(dataset)
        for name, folder in folders.items():
            scores[name] = _score(gt, folder, len(dataset.metainfo['classes']))
    image = _panel(train, train_labels, num_images)
    out_dir.mkdir(parents=True, exist_ok=True)
    with atomic_write(out_dir / 'report.png') as stream:
        Image.fromarray(image).save(stream, format='PNG')
    classes = train.metainfo['classes']
    with atomic_write(out_dir / 'report.md', 'w') as file:
        file.write(_markdown(scores, classes))
    with atomic_write(out_dir / 'report.html', 'w') as file:
        file.write(_html(scores, classes, (out_dir / 'report.png').read_bytes()))
    return {name: row.summary()['mIoU'] for name, row in scores.items()}


def _gt_files(dataset: Any) -> dict[str, tuple[str, str]]:
    """Return the paths of image and mask by name."""
    names = image_paths(dataset)
    infos = [dataset.get_data_info(i) for i in range(len(names))]
    return {names[i['img_path']]: (i['img_path'], i['seg_map_path']) for i in infos}


def _score(
    gt: Mapping[str, tuple[str, str]], folder: Path, num_classes: int
) -> LabelScores:
    total = torch.zeros(num_classes, num_classes + 1, dtype=torch.int64)
    for name, (_, mask) in gt.items():
        pred = read_label_map(folder / f'{name}.png')
        total += confusion_matrix(pred, read_label_map(mask), num_classes)
    return label_scores(total)


def _best_seeds(dataset: Any, maps: Path) -> tuple[str, LabelScores]:
    """Return title and scores of the CAMs at the threshold with the best mIoU."""
    num_classes = len(dataset.metainfo['classes'])
    cuts = torch.tensor(DEFAULT_THRESHOLDS)
    total = torch.zeros(len(cuts), num_classes, num_classes + 1, dtype=torch.int64)
    for name, (_, mask) in _gt_files(dataset).items():
        cam = torch.from_numpy(read_soft_map(maps / f'{name}.npz', num_classes)[1:])
        gt = torch.from_numpy(read_label_map(mask).astype('int64'))
        total += threshold_confusion(cam, gt, cuts, num_classes)
    rows = [label_scores(matrix) for matrix in total]
    best = max(range(len(rows)), key=lambda i: rows[i].mean_iou)
    return f'seeds, train (threshold {cuts[best]:.2f})', rows[best]


def _panel(dataset: Any, folders: Mapping[str, Path], count: int) -> Any:
    """Draw images with their labels and the ground truth."""
    gt = _gt_files(dataset)
    names = list(gt)[:: max(len(gt) // max(count, 1), 1)][:count]
    palette, classes = dataset.metainfo['palette'], dataset.metainfo['classes']
    rows: list[dict] = []
    drawn: list[Any] = []
    for name in names:
        img, mask = gt[name]
        labels = {t: read_label_map(f / f'{name}.png') for t, f in folders.items()}
        labels['ground truth'] = read_label_map(mask)
        drawn += labels.values()
        rows.append(label_row(mmcv.imread(img, channel_order='rgb'), labels, palette))
    return panel(rows, legend_of(drawn, classes, palette))


def _tables(scores: Scores, classes: Sequence[str]) -> list[list[list[str]]]:
    """Return the cells of both tables: all classes together, and each class."""
    summaries = {name: row.summary() for name, row in scores.items()}
    keys = list(next(iter(summaries.values())))
    overall = [['', *keys]]
    overall += [
        [name, *(_text(row[key]) for key in keys)] for name, row in summaries.items()
    ]
    each = [['IoU', *scores]]
    columns = [row.per_class()['IoU'] for row in scores.values()]
    each += [
        [name, *(_text(column[i]) for column in columns)]
        for i, name in enumerate(classes)
    ]
    return [overall, each]


def _markdown(scores: Scores, classes: Sequence[str]) -> str:
    lines = ['# From seeds to a segmentation network', '', 'Scores in per cent.', '']
    for head, *rows in _tables(scores, classes):
        lines += [f'| {" | ".join(head)} |', '| --- ' * len(head) + '|']
        lines += [f'| {" | ".join(row)} |' for row in rows]
        lines.append('')
    return '\n'.join([*lines, '![Images and their labels](report.png)', ''])


def _html(scores: Scores, classes: Sequence[str], image: bytes) -> str:
    parts = []
    for head, *rows in _tables(scores, classes):
        cells = ''.join(f'<th>{html.escape(cell)}</th>' for cell in head)
        body = ''.join(
            '<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>'
            for row in rows
        )
        parts.append(f'<table><tr>{cells}</tr>{body}</table>')
    data = base64.b64encode(image).decode()
    title = 'From seeds to a segmentation network'
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title}</title>'
        '<style>body{font-family:sans-serif}td{text-align:right}'
        'td:first-child{text-align:left}table{margin:1em 0}</style>'
        f'<h1>{title}</h1><p>Scores in per cent.</p>{"".join(parts)}'
        f'<img alt="Images and their labels" src="data:image/png;base64,{data}">\n'
    )


def _text(value: float) -> str:
    return '-' if value != value else f'{value:.2f}'
