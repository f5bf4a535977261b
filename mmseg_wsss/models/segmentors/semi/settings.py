"""Settings that all semi-supervised segmentors have."""

from dataclasses import dataclass

from mmseg_wsss.utils.settings import setting


@dataclass(frozen=True)
class SemiSettings:
    """Settings ``semi_train_cfg`` of all semi-supervised segmentors.

    Args:
        sup_weight: Weight of the supervised loss of every student.
        teacher_mode: Mode of the teachers during training: ``'eval'``, or ``'train'``
            as in MKD's released code, with statistics of the batch in batch norm and
            buffers that are not averaged.
        concat_forward: Whether a student, and a teacher in train mode, processes
            labeled and unlabeled images in one batch: faster, with common statistics
            in batch norm. One image per part is enough then for a head that pools the
            whole image before batch norm. Crops of all branches need one size.
    """

    sup_weight: float = setting(1.0, at_least=0)
    teacher_mode: str = setting('eval', choices=('eval', 'train'))
    concat_forward: bool = setting(False)


@dataclass(frozen=True)
class SemiTestSettings:
    """Settings ``semi_test_cfg``.

    Args:
        predict_on: Network that predicts: a student, a teacher, several joined by
            ``+``, the probabilities of which are averaged, or ``'ensemble'`` for all
            students. None for the first student.
    """

    predict_on: str | None = setting(None)
