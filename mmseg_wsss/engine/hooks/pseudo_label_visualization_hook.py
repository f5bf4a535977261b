from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv import imfrombytes
from mmengine.dist import is_main_process
from mmengine.fileio import get
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import HOOKS
from mmseg_wsss.visualization.panels import label_row, legend_of, panel

PREFIX = 'pseudo_'


@HOOKS.register_module()
class PseudoLabelVisualizationHook(Hook):
    """Visualize pseudo-labels, predictions and ground truth of a few images.

    The hook adds a panel to all backends of the runner's visualizer. A row of the panel
    has an image, its CAM as a heat map, the pseudo-labels of each source, the
    prediction and the ground truth, as far as the data sample has them.

    The images are spread evenly over the validation set and are the same each time.
    With several processes, they come from the share of rank 0.

    Args:
        interval: Number of validations from one panel to the next, at least 1; the
            first validation has one.
        num_images: Number of rows of a panel, at least 1; one per validation batch at
            most.
        sources: Names of the pseudo-labels, each stored in a field ``pseudo_<source>``
            of a data sample; by default all of a sample's, in alphabetical order.
        backend_args: Arguments of the file backend that reads the images, as in mmseg.

    Raises:
        ValueError: If ``interval`` or ``num_images`` is below 1; before training or
            validation, if ``test_cfg.pseudo_sources`` of a weakly supervised segmentor
            lacks one of ``sources``.
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
        """Record that validations belong to an iteration from now on."""
        self._training = True
        self._check_sources(runner)

    def after_train(self, runner: Runner) -> None:
        """Record that later validations belong to no iteration."""
        self._training = False

    def before_val(self, runner: Runner) -> None:
        """Check the sources."""
        self._check_sources(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the batches of the panel, if this validation has one."""
        self._rows, self._labels, self._batches = [], [], set()
        if self._training:
            self._count_validations(runner.train_loop)
        if is_main_process() and self._validations % self.interval == 0:
            count = len(runner.val_dataloader)
            chosen = np.linspace(0, count - 1, min(self.num_images, count))
            self._batches = set(chosen.round().astype(int).tolist())
        self._validations += 1

    def _count_validations(self, loop: Any) -> None:
        """Derive the number of earlier validations, so that resuming changes no panel.

        A custom loop may validate at other times, and resuming it starts from 0.
        """
        if isinstance(loop, IterBasedTrainLoop):
            earlier = loop.iter - 1
        elif isinstance(loop, EpochBasedTrainLoop):
            earlier = loop.epoch - 1
        else:
            return
        before_begin = max(loop.val_begin - 1, 0) // loop.val_interval
        self._validations = max(earlier // loop.val_interval - before_begin, 0)

    def _check_sources(self, runner: Runner) -> None:
        model = unwrap(runner.model)
        if not hasattr(model, 'pseudo_sources'):
            return  # unknown
        attached = model.test_settings.pseudo_sources
        missing = [name for name in self.sources or () if name not in attached]
        if missing:
            raise ValueError(
                f'sources of PseudoLabelVisualizationHook: {missing} not in '
                f'model.test_cfg.pseudo_sources={list(attached)}; add them there, or '
                f'correct them: {type(model).__name__} has '
                f'{sorted(model.pseudo_sources())}'
            )

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Draw the first image of a chosen batch, as predicted by the first network."""
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
            # A data sample keeps its fields in a set, which has no order.
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
        # Outside of training, runner.iter would build the training loop.
        step = runner.iter if self._training else 0
        meta = runner.val_dataloader.dataset.metainfo
        legend = legend_of(self._labels, meta['classes'], meta['palette'])
        image = panel(self._rows, legend)
        runner.visualizer.add_image('pseudo_labels', image, step)
        self._rows, self._labels = [], []
