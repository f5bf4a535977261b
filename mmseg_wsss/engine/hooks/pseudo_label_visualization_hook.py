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
    """Show a few images of each validation with all labels that the model makes.

    A panel with one row per image: the image, its CAM as heat, the pseudo-labels of
    each source, the prediction and, where there is one, the truth. It goes through the
    runner's visualizer, so that every backend (local files, TensorBoard, WandB) gets it
    as one image at the step of the validation.

    The images are spread evenly over the validation set and are the same each time.
    With several processes they come from the share of the first.

    Args:
        interval: Show every ``interval``-th validation, beginning with the first.
        num_images: Rows of the panel, at most one for each batch of the validation.
        sources: Pseudo-labels to show, fields ``pseudo_<source>`` of the data samples;
            by default all that a sample has, in alphabetical order.
        tile: Longest side of an image in the panel, in pixels.
        name: Name of the image in the visualizer; for local files a part of the file
            name.
        backend_args: As in mmseg, for reading the images.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        interval: int = 1,
        num_images: int = 4,
        sources: Sequence[str] | None = None,
        tile: int = 200,
        name: str = 'pseudo_labels',
        backend_args: dict | None = None,
    ) -> None:
        for option, value in (('interval', interval), ('num_images', num_images)):
            if value < 1:
                raise ValueError(f'{option} must be at least 1, got {value}')
        self.interval = interval
        self.num_images = num_images
        self.sources = sources
        self.tile = tile
        self.name = name
        self.backend_args = backend_args
        self._validations = 0
        self._batches: set[int] = set()
        self._rows: list[dict[str, np.ndarray]] = []
        self._labels: list[Any] = []

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the batches to show, if this validation is to be shown at all."""
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
        """Draw the first image of a chosen batch."""
        if batch_idx in self._batches and outputs:
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
        """Label fields to show by their titles, from left to right."""
        if self.sources is None:
            # a data sample keeps its fields in a set, without an order
            made = sorted(key for key in sample.all_keys() if key.startswith(PREFIX))
        else:
            made = [PREFIX + source for source in self.sources]
        titles = {field.removeprefix(PREFIX).replace('_', ' '): field for field in made}
        titles |= {'prediction': 'pred_sem_seg', 'truth': 'gt_sem_seg'}
        return {title: field for title, field in titles.items() if field in sample}

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Hand the panel to the visualizer."""
        if not self._rows:
            return
        # runner.iter would build a training loop where only validation was asked for
        trains = not isinstance(runner._train_loop, dict | None)
        step = runner.iter if trains else 0
        meta = runner.val_dataloader.dataset.metainfo
        legend = legend_of(self._labels, meta['classes'], meta['palette'])
        image = panel(self._rows, legend, self.tile)
        runner.visualizer.add_image(self.name, image, step)
        self._rows, self._labels = [], []
