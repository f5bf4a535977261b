from collections.abc import Sequence
from typing import Any

from mmengine.runner import ValLoop

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import LOOPS


@LOOPS.register_module()
class TeacherStudentValLoop(ValLoop):
    """Validate several networks of a semi-supervised segmentor.

    Metrics are named ``NETWORK/METRIC``: ``save_best='student1/mIoU'`` selects
    checkpoints by one of them.

    Args:
        *args: Arguments of MMEngine's ``ValLoop``.
        predict_on: Values of the segmentor's ``predict_on`` to validate, e.g.
            ``['student1', 'ensemble']``; by default every network.
        **kwargs: Arguments of MMEngine's ``ValLoop``.

    Raises:
        KeyError: If the segmentor has no such network.
        TypeError: In :meth:`run`, if the segmentor is not semi-supervised.
    """

    def __init__(
        self, *args: Any, predict_on: Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.predict_on = predict_on
        segmentor = unwrap(self.runner.model)
        if hasattr(segmentor, 'predict_on'):  # FlexibleRunner builds its model later
            before = segmentor.predict_on
            for name in predict_on or ():  # checks the names before training
                segmentor.predict_on = name
            segmentor.predict_on = before

    def run(self) -> dict[str, float]:
        """Validate each network, and restore ``predict_on`` and the mode afterwards.

        Returns:
            Metrics of all networks, ``NETWORK/METRIC``.

        Raises:
            TypeError: If the segmentor is not semi-supervised.
        """
        segmentor = unwrap(self.runner.model)
        if not hasattr(segmentor, 'predict_on'):
            raise TypeError(
                'TeacherStudentValLoop needs a semi-supervised segmentor, got '
                f'{type(segmentor).__name__}; use ValLoop'
            )
        self.runner.call_hook('before_val')
        self.runner.call_hook('before_val_epoch')
        before, training = segmentor.predict_on, self.runner.model.training
        metrics: dict[str, float] = {}
        self.runner.model.eval()
        try:
            for name in self.predict_on or segmentor.networks:
                segmentor.predict_on = name
                for idx, batch in enumerate(self.dataloader):
                    self.run_iter(idx, batch)
                found = self.evaluator.evaluate(len(self.dataloader.dataset))
                metrics |= {f'{name}/{key}': value for key, value in found.items()}
        finally:
            segmentor.predict_on = before
            self.runner.model.train(training)
            for metric in self.evaluator.metrics:
                metric.results.clear()
        self.runner.call_hook('after_val_epoch', metrics=metrics)
        self.runner.call_hook('after_val')
        return metrics
