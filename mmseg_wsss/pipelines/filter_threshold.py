"""Choose the threshold of prediction filtering on the images of a training."""

import math
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context
from typing import IO, Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from torch import Tensor

from mmseg_wsss.models.segmentors.semi.parts.tag_classifier import tag_probabilities
from mmseg_wsss.registry import DATASETS
from mmseg_wsss.utils.configs import require
from mmseg_wsss.utils.progress import track

from .predict import inference_pipeline, load_model


class FilterScore(NamedTuple):
    """Effect of a filter threshold.

    Args:
        thr: Probability below which a class counts as absent.
        missed: Ratio of the tags that the filter removes, in [0, 1].
        removed: Ratio of the absent classes that the filter removes, in [0, 1].
    """

    thr: float
    missed: float
    removed: float


def score_threshold(prob: Tensor, tags: Tensor, thr: float) -> FilterScore:
    """Compute the effect of a filter threshold.

    Args:
        prob: Probabilities (N, K) of the classifier.
        tags: Image tags (N, K) in {0, 1}.
        thr: Threshold.

    Example:
        >>> prob = torch.tensor([[0.9, 0.1], [0.2, 0.4]])
        >>> tags = torch.tensor([[1, 0], [1, 0]])
        >>> score_threshold(prob, tags, 0.3)
        FilterScore(thr=0.3, missed=0.5, removed=0.5)
    """
    below, present = prob < thr, tags > 0
    missed = (below & present).sum() / present.sum().clamp(min=1)
    removed = (below & ~present).sum() / (~present).sum().clamp(min=1)
    return FilterScore(thr, missed.item(), removed.item())


def choose_threshold(prob: Tensor, tags: Tensor, max_missed: float) -> float:
    """Return the largest threshold that removes at most a given ratio of the tags.

    Args:
        prob: Probabilities (N, K) of the classifier.
        tags: Image tags (N, K) in {0, 1}.
        max_missed: Largest ratio of the tags that the filter may remove, in [0, 1).

    Raises:
        ValueError: If ``max_missed`` is outside its range or no image has a tag.

    Example:
        >>> prob = torch.tensor([[0.9, 0.1], [0.2, 0.4]])
        >>> tags = torch.tensor([[1, 0], [1, 0]])
        >>> round(choose_threshold(prob, tags, max_missed=0.5), 2)
        0.9
    """
    if not 0 <= max_missed < 1:
        raise ValueError(f'max_missed must be in [0, 1), got {max_missed}')
    present = prob[tags > 0].double().sort().values
    if not len(present):
        raise ValueError('no image has a tag: the threshold cannot be chosen')
    allowed = math.floor(max_missed * len(present) + 1e-9)
    return present[allowed].item()


def rounded_down(thr: float) -> float:
    """Round a threshold down to four significant digits, to remove no further tag.

    Example:
        >>> rounded_down(0.100065)
        0.1
    """
    return float(Context(prec=4, rounding=ROUND_FLOOR).create_decimal(thr))


@torch.no_grad()
def tag_scores(
    cfg: Config, checkpoint: str, stream: IO[str] | None = None
) -> tuple[Tensor, Tensor]:
    """Classify the training images that have tags.

    Args:
        cfg: Config of a semi-supervised segmentor with ``cam_head``.
        checkpoint: Checkpoint file.
        stream: Stream of the progress; standard error by default.

    Returns:
        Probabilities (N, K) in [0, 1] and tags (N, K) in {0, 1}.

    Raises:
        ValueError: If the model has no classifier, no image has tags, or the config
            has no training images.
    """
    require(cfg, 'train_dataloader.dataset')
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not getattr(dataset, 'has_tags', False):
        raise ValueError('expected tags=dict(path=...) of SemiDataset, found no tags')
    model: Any = load_model(cfg, checkpoint)[0]
    if getattr(model, 'cam_head', None) is None:
        raise ValueError('expected model.cam_head, found none')
    pipeline = Compose(inference_pipeline(cfg))
    rows = []
    images = list(_tagged_images(dataset))
    for path, tags in track(images, len(images), 'classifying', stream):
        batch = pseudo_collate([pipeline({'img_path': path})])
        inputs = model.data_preprocessor(batch, False)['inputs']
        rows.append((tag_probabilities(model, inputs)[0].cpu(), torch.tensor(tags)))
    prob, found = zip(*rows)
    return torch.stack(prob), torch.stack(found)


def _tagged_images(dataset: Any) -> Sequence[tuple[str, list[int]]]:
    found = {}
    for part in dataset.parts.values():
        for index in range(len(part)):
            info = part.get_data_info(index)
            if 'gt_tags' in info:
                found[info['img_path']] = info['gt_tags'].tolist()
    return list(found.items())
