"""Predictions of one network or of several together."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from ....utils import at_least_float32, log_probability
from .tag_constraint import ABSENT


def networks_of(
    predict_on: str, students: Sequence[str], networks: Collection[str]
) -> tuple[str, ...]:
    """Return the names of the networks used for prediction.

    Args:
        predict_on: Name of a network, several joined by ``+``, or ``'ensemble'`` for
            all students.
        students: Names of the students.
        networks: Names of all networks.

    Raises:
        KeyError: If a network is unknown.
    """
    names = students if predict_on == 'ensemble' else predict_on.split('+')
    unknown = sorted(set(names) - set(networks))
    if unknown:
        raise KeyError(
            f'semi_test_cfg.predict_on has no {unknown}; choose out of '
            f"{sorted(networks)}, several joined by '+', or 'ensemble', got "
            f'{predict_on!r}'
        )
    return tuple(names)


def predict(
    networks: Sequence[Any],
    inputs: Tensor,
    data_samples: list | None,
    absent: Tensor | None = None,
) -> list:
    """Predict by one network, or by the mean of the probabilities of several.

    Args:
        networks: mmseg's segmentors.
        inputs: Normalized images (N, 3, H, W).
        data_samples: Their data samples, if there are any.
        absent: Mask (N, C) bool of the classes that are not predicted.

    Returns:
        Data samples with ``pred_sem_seg`` and ``seg_logits``. For several networks,
        ``seg_logits`` is the logarithm of the mean probabilities: its softmax, which
        test-time augmentation computes, gives the mean.
    """
    if len(networks) == 1 and absent is None:
        return networks[0].predict(inputs, data_samples)
    if data_samples is None:
        metas = [{'ori_shape': inputs.shape[2:], 'img_shape': inputs.shape[2:]}]
        metas *= len(inputs)
    else:
        metas = [sample.metainfo for sample in data_samples]
    logits = [at_least_float32(net.inference(inputs, metas)) for net in networks]
    if len(networks) == 1 and absent is not None:
        logits[0] = logits[0].masked_fill(absent[..., None, None], ABSENT)
        return networks[0].postprocess_result(logits[0], data_samples)
    mean = torch.stack([x.softmax(1) for x in logits]).mean(0)
    if absent is not None:
        mean = mean.masked_fill(absent[..., None, None], 0.0)
    results = networks[0].postprocess_result(mean, data_samples)
    for sample in results:
        sample.seg_logits.data = log_probability(sample.seg_logits.data)
    return results
