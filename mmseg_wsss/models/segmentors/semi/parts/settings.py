"""Settings shared by all semi-supervised segmentors."""

from dataclasses import dataclass

from mmseg_wsss.utils.settings import setting

from .cam_fusion import CAMFusionSettings
from .tag_constraint import TagFilterSettings


@dataclass(frozen=True)
class SemiSettings:
    """Settings ``semi_train_cfg`` of all semi-supervised segmentors.

    Args:
        sup_weight: Weight of the supervised loss of every student.
        teacher_mode: Mode of the teachers during training: ``'eval'``, or ``'train'``
            as in MKD's released code, with batch statistics in batch norm and buffers
            that are not averaged.
        concat_forward: Whether a student, and a teacher in train mode, processes
            labeled and unlabeled images in one batch: faster, with common statistics
            in batch norm. A head that pools the whole image before batch norm then
            needs only one image per part. Crops of all branches must have one size.
        tag_filter: Settings of the filter of pseudo-labels by image tags; None switches
            it off. Images without tags are not changed.
        class_aware_ce: Whether to compute the losses of labels and pseudo-labels among
            tagged classes and background only (with a margin: to lower the logits of
            the other classes).
        cam_fusion: Settings of the fusion of pseudo-labels with the CAM of the
            classifier ``cam_head``; None switches it off.

    Raises:
        ValueError: If ``class_aware_ce`` or ``cam_fusion`` is set without
            ``tag_filter``: a pseudo-label of an absent class would have no probability
            and no CAM.
    """

    sup_weight: float = setting(1.0, at_least=0)
    teacher_mode: str = setting('eval', choices=('eval', 'train'))
    concat_forward: bool = setting(False)
    tag_filter: TagFilterSettings | None = setting(None)
    class_aware_ce: bool = setting(False)
    cam_fusion: CAMFusionSettings | None = setting(None)

    def __post_init__(self) -> None:
        if self.class_aware_ce and self.tag_filter is None:
            raise ValueError('class_aware_ce=True needs tag_filter, e.g. dict()')
        if self.cam_fusion is not None and self.tag_filter is None:
            raise ValueError('cam_fusion needs tag_filter, e.g. dict()')


@dataclass(frozen=True)
class PredictionFilterSettings:
    """Settings of prediction filtering.

    Classes with a low probability in the classifier are removed from the predictions;
    their pixels get the next best class. Source: Bae et al. (One Weird Trick to Improve
    Your Semi-Weakly Supervised Semantic Segmentation Model), section 3,
    https://arxiv.org/abs/2205.01233.

    Args:
        thr: Probability below which a class is removed; choose it on training images
            with ``tools/misc/prediction_filter_threshold.py``.
    """

    thr: float = setting(0.05, at_least=0, at_most=1)


@dataclass(frozen=True)
class SemiTestSettings:
    """Settings ``semi_test_cfg``.

    Args:
        predict_on: Network that predicts: a student, a teacher, several joined by
            ``+``, with averaged probabilities, or ``'ensemble'`` for all students. None
            for the first student.
        prediction_filter: Settings of prediction filtering, which needs ``cam_head``;
            None switches it off.
    """

    predict_on: str | None = setting(None)
    prediction_filter: PredictionFilterSettings | None = setting(None)
