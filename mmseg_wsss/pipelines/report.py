"""Write the report of a pipeline: scores of all label maps, and images."""

import datetime
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from PIL import Image

from mmseg_wsss.datasets.deterministic_dataset import DeterministicDataset
from mmseg_wsss.datasets.inner_dataset import InnerDataset, with_masks
from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.soft_maps import read_soft_map
from mmseg_wsss.evaluation.confusion import (
    LabelScores,
    confusion_matrix,
    label_scores,
    threshold_confusion,
)
from mmseg_wsss.evaluation.pseudo_label_metric import DEFAULT_THRESHOLDS
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.visualization.panels import label_row, legend_of, panel

from .export import image_paths
from .provenance import processor, versions
from .report_pages import Page, html_page, markdown_page

Scores = dict[str, LabelScores]


@dataclass
class Images:
    """Images of a report, with the folders of their label maps.

    Args:
        title: Name of the split, such as ``'training images'``.
        dataset: Dataset; only images with a mask are evaluated.
        folders: Folders of the label maps by title; files may be missing in folders of
            ``shown_only``.
        seeds: Folder of the exported seeds.
        threshold: Background threshold of the soft maps if no image has a mask;
            otherwise they are evaluated at the threshold with the best mIoU, the
            convention for CAMs. None evaluates the exported labels instead.
        shown_only: Titles of ``folders`` that are drawn but not evaluated.
        given: Names of images to leave out, since their label maps are given masks.
    """

    title: str
    dataset: Any
    folders: dict[str, Path]
    seeds: Path | None = None
    threshold: float | None = 0.45
    shown_only: Sequence[str] = ()
    given: Collection[str] = ()
    files: dict[str, str] = field(init=False)
    masks: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Set ``files`` and, for images with masks, ``masks`` (indices), by name."""
        names = image_paths(self.dataset)
        self.files, self.masks = {}, {}
        for index, name in enumerate(names.values()):
            info = self.dataset.get_data_info(index)
            mask = info.get('seg_map_path')
            if name not in self.given:
                self.files[name] = info['img_path']
                if mask and Path(mask).is_file():
                    self.masks[name] = index

    @cached_property
    def _samples(self) -> InnerDataset:
        wrapped = isinstance(self.dataset, DeterministicDataset)
        return with_masks(self.dataset.dataset if wrapped else self.dataset)

    def gt(self, name: str) -> np.ndarray:
        """Return the ground truth (H, W) of an image, as the dataset returns it."""
        sample = self._samples.read(self.masks[name])['data_samples']
        return sample.gt_sem_seg.data[0].numpy()

    def shown(self, count: int) -> list[str]:
        """Return the names of at most ``count`` images, spread over the list."""
        names = list(self.masks or self.files)
        return names[:: max(len(names) // max(count, 1), 1)][:count]


def write_report(
    parts: Sequence[Images],
    out_dir: Path,
    facts: Mapping[str, str],
    stages: Sequence[Sequence[str]] = (),
    num_images: int = 6,
) -> dict[str, float]:
    """Write ``report.md``, ``report.html`` and one ``report_*.png`` per split.

    Label maps of images without a mask are shown but not evaluated.

    Args:
        parts: Images and label maps of each split.
        out_dir: Folder of the report.
        facts: Facts about the origin of the results, by name.
        stages: Rows of the table of stages; the first one is the header.
        num_images: Number of images to show per split.

    Returns:
        mIoU in percent, by title.
    """
    scores: Scores = {}
    shown = {}
    counts = {}
    for part in parts:
        scores |= _scores(part)
        shown[part.title] = _rows(part, part.shown(num_images))
        counts[part.title] = f'{len(part.files)}, {len(part.masks)} of them with masks'
    out_dir.mkdir(parents=True, exist_ok=True)
    images = {}
    for title, (rows, legend) in shown.items():
        images[title] = f'report_{title.partition(" ")[0]}.png'
        with atomic_write(out_dir / images[title]) as stream:
            Image.fromarray(panel(rows, legend)).save(stream, format='PNG')
    page = Page(scores, parts[0].dataset.metainfo['classes'], shown, images)
    page.stages = list(stages)
    page.facts = {**counts, **facts, **_versions()}
    with atomic_write(out_dir / 'report.md', 'w') as file:
        file.write(markdown_page(page))
    with atomic_write(out_dir / 'report.html', 'w') as file:
        file.write(html_page(page))
    summary = {name: row.summary() for name, row in scores.items()}
    with atomic_write(out_dir / 'scores.json', 'w') as file:
        json.dump(summary, file, indent=1)
    return {name: row['mIoU'] for name, row in summary.items()}


def _versions() -> dict[str, str]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    return {
        'date': datetime.datetime.now().astimezone().strftime('%Y-%m-%d %H:%M %Z'),
        'versions': ', '.join(f'{name} {value}' for name, value in versions().items()),
        'machine': f'{processor()}, {gpu}',
    }


def _scores(part: Images) -> Scores:
    """Evaluate all label maps of a split."""
    if not part.masks:
        return {}
    num_classes = len(part.dataset.metainfo['classes'])
    scores: Scores = {}
    folders = {t: f for t, f in part.folders.items() if t not in part.shown_only}
    if part.seeds is not None and part.threshold is None:
        folders = {'seeds': part.seeds, **folders}
    elif part.seeds is not None:
        cut, scores_of_cut = _best_seeds(part, num_classes)
        part.threshold = cut
        scores[f'seeds (threshold {cut:.2f}), {part.title}'] = scores_of_cut
    shape = num_classes, num_classes + 1
    totals = {title: torch.zeros(shape, dtype=torch.int64) for title in folders}
    for name in part.masks:
        gt = part.gt(name)
        for title, folder in folders.items():
            pred = read_label_map(folder / f'{name}.png')
            totals[title] += confusion_matrix(pred, gt, num_classes)
    rows = {f'{title}, {part.title}': label_scores(m) for title, m in totals.items()}
    return scores | rows


def _best_seeds(part: Images, num_classes: int) -> tuple[float, LabelScores]:
    """Return the threshold of the maps with the best mIoU, and their scores there."""
    assert part.seeds is not None
    cuts = torch.tensor(DEFAULT_THRESHOLDS)
    total = torch.zeros(len(cuts), num_classes, num_classes + 1, dtype=torch.int64)
    for name in part.masks:
        cam = torch.from_numpy(read_soft_map(part.seeds / f'{name}.npz', num_classes))
        gt = torch.from_numpy(part.gt(name).astype('int64'))
        total += threshold_confusion(cam[1:], gt, cuts, num_classes)
    rows = [label_scores(matrix) for matrix in total]
    best = max(range(len(rows)), key=lambda i: rows[i].mean_iou)
    return float(cuts[best]), rows[best]


def _rows(part: Images, names: Sequence[str]) -> tuple[list[dict], dict]:
    """Draw images with their label maps; also return the legend."""
    meta = part.dataset.metainfo
    rows: list[dict] = []
    drawn: list[np.ndarray] = []
    for name in names:
        labels: dict[str, np.ndarray] = {}
        cam = None
        if part.seeds is not None:
            cam = read_soft_map(part.seeds / f'{name}.npz', len(meta['classes']))[1:]
            if part.threshold is None:
                labels['seeds'] = read_label_map(part.seeds / f'{name}.png')
            else:
                seeds = np.where(cam.max(0) > part.threshold, cam.argmax(0) + 1, 0)
                labels[f'seeds (threshold {part.threshold:.2f})'] = seeds
        for title, folder in part.folders.items():
            labels[title] = read_label_map(folder / f'{name}.png')
        if name in part.masks:
            labels['ground truth'] = part.gt(name)
        drawn += labels.values()
        image = mmcv.imread(part.files[name], channel_order='rgb')
        rows.append(label_row(image, labels, meta['palette'], cam))
    return rows, legend_of(drawn, meta['classes'], meta['palette'])
