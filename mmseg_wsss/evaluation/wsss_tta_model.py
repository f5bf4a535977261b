"""Test-time augmentation by multiple scales and flips, and a dense CRF."""

import mmcv
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from torch import Tensor

from mmseg_wsss.registry import MODELS


@MODELS.register_module()
class WSSSTTAModel(SegTTAModel):
    """Apply test-time augmentation to any mmseg segmentor, with an optional CRF.

    The ``seg_logits`` (C, H, W) of the results are probabilities: merged over the views
    and, if there is a CRF, refined by it.

    Args:
        module: Config of the segmentor, or the segmentor.
        merge: ``'mean'`` of the probabilities over all views, or ``'max'``: the softmax
            of the maximum over scales of the mean logits of an image and its mirror
            image, as in the released evaluation of AFA (Ru et al., "Learning Affinity
            from Attention", https://arxiv.org/abs/2203.02664). Views of equal size
            belong to one scale.
        crf: Config of a CRF, called with the image file (1, 3, H, W), RGB in [0, 255],
            and the merged probabilities (1, C, H, W); None applies no CRF.
        **kwargs: Arguments of MMEngine's ``BaseTTAModel``.

    Raises:
        ValueError: If ``merge`` is unknown.
    """

    def __init__(
        self,
        module: object,
        merge: str = 'mean',
        crf: dict | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(module=module, **kwargs)
        if merge not in ('mean', 'max'):
            raise ValueError(f"merge must be 'mean' or 'max', got {merge!r}")
        self.merge = merge
        self.crf = MODELS.build(crf) if crf else None

    def merge_preds(self, data_samples_list: list[list]) -> list:
        """Merge the predictions of all views of each image.

        Args:
            data_samples_list: Views of each image, with ``seg_logits`` (C, H, W) at
                the original size.

        Returns:
            One data sample per image.
        """
        results = []
        for views in data_samples_list:
            prob = mean_probs(views) if self.merge == 'mean' else max_probs(views)
            if self.crf is not None:
                img = mmcv.imread(views[0].img_path, channel_order='rgb')
                guide = torch.from_numpy(img).permute(2, 0, 1)[None].to(prob)
                prob = self.crf(guide, prob[None])[0]
            sample = views[0]
            sample.set_data(
                {
                    'seg_logits': PixelData(data=prob),
                    'pred_sem_seg': PixelData(data=prob.argmax(0, keepdim=True)),
                }
            )
            results.append(sample)
        return results


def mean_probs(views: list) -> Tensor:
    """Compute the mean of the probabilities (C, H, W) of all views."""
    return torch.stack([v.seg_logits.data.float().softmax(0) for v in views]).mean(0)


def max_probs(views: list) -> Tensor:
    """Compute the softmax (C, H, W) of the maximum of the logits over scales."""
    scales: dict[tuple, list[Tensor]] = {}
    for view in views:
        size = tuple(view.metainfo['img_shape'][:2])
        scales.setdefault(size, []).append(view.seg_logits.data.float())
    means = [torch.stack(logits).mean(0) for logits in scales.values()]
    return torch.stack(means).amax(0).softmax(0)
