from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv import imfrombytes
from mmengine.dist import is_main_process
from mmengine.fileio import get
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.visualization.panels import label_row, legend_of, panel

PREFIX = 'pseudo_'


@HOOKS.register_module()
class PseudoLabelVisualizationHook(Hook):
    """Visualize pseudo-labels, predictions and ground truth of a few images.

    Each validation adds one panel to the visualizer of the runner, and so to each of
    its backends. A row of the panel has an image, its CAM as a heat map, the
    pseudo-labels of each source, the prediction and the ground truth, if there is one.

    The images are spread evenly over the validation set and are the same each time.
    With several processes they are images of rank 0.

    Args:
        interval: Number of validations from one panel to the next; the first validation
            has one.
        num_images: Rows of the panel, at most one per batch of the validation.
        sources: Names of pseudo-labels, fields ``pseudo_<source>`` of the data samples;
            by default all that a sample has, in alphabetical order.
        backend_args: As in mmseg, to read the images.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        interval: int = 1,
        num_images: int = 4,
        sources: Sequence[str] | None = None,
        backend_args: dict | None = None,
    ) -> None:
        for option, value in (('interval', interval), ('num_images', num_images)):
            if value < 1:
                raise ValueError(f'{option} must be at least 1, got {value}')
        self.interval = interval
        self.num_images = num_images
        self.sources = sources
        self.backend_args = backend_args
        self._validations = 0
        self._training = False
        self._batches: set[int] = set()
        self._rows: list[dict[str, np.ndarray]] = []
        self._labels: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Note that validations have an iteration."""
        self._training = True

    def after_train(self, runner: Runner) -> None:
        """Note that later validations have none."""
        self._training = False

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the batches of the panel, if this validation has one."""
        self._rows, self._labels, self._batches = [], [], set()
        if is_main_process() and self._validations % self.interval == 0:
            count = len(runner.val_dataloader)
            chosen = np.linspace(0, count - 1, min(self.num_images, count))
            self._batches = set(chosen.round().astype(int).tolist())
        self._validations += 1

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Draw the first image of a chosen batch, as the first network predicts it."""
        if batch_idx in self._batches and outputs:
            self._batches.remove(batch_idx)
            self._add_row(outputs[0], runner.val_dataloader.dataset.metainfo)

    def _add_row(self, sample: Any, meta: dict) -> None:
        img_bytes = get(sample.img_path, backend_args=self.backend_args)
        img = imfrombytes(img_bytes, channel_order='rgb')
        fields = {
            title: sample.get(field).data[0]
            for title, field in self._titles(sample).items()
        }
        cam = sample.cam.data if 'cam' in sample else None
        self._rows.append(label_row(img, fields, meta['palette'], cam))
        self._labels += fields.values()

    def _titles(self, sample: Any) -> dict[str, str]:
        """Return the label fields by title, from left to right."""
        if self.sources is None:
            # A data sample has its fields in a set, without an order.
            fields = sorted(k for k in sample.all_keys() if k.startswith(PREFIX))
        else:
            fields = [PREFIX + source for source in self.sources]
        titles = {name.removeprefix(PREFIX).replace('_', ' '): name for name in fields}
        titles |= {'prediction': 'pred_sem_seg', 'ground truth': 'gt_sem_seg'}
        return {title: field for title, field in titles.items() if field in sample}

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Add the panel to the visualizer."""
        if not self._rows:
            return
        # Outside of a training runner.iter would build the training loop.
        step = runner.iter if self._training else 0
        meta = runner.val_dataloader.dataset.metainfo
        legend = legend_of(self._labels, meta['classes'], meta['palette'])
        image = panel(self._rows, legend)
        runner.visualizer.add_image('pseudo_labels', image, step)
        self._rows, self._labels = [], []
