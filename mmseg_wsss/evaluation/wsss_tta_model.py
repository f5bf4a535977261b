"""Evaluation at several scales, flipped, and with a dense CRF, of any segmentor."""

import mmcv
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from torch import Tensor

from mmseg_wsss.registry import MODELS


@MODELS.register_module()
class WSSSTTAModel(SegTTAModel):
    """mmseg's test-time augmentation, with the merged probabilities refined by a CRF.

    Wraps any mmseg segmentor. ``seg_logits`` of the result holds the probabilities
    merged over the views, refined where there is a CRF.

    Args:
        module: Config of the segmentor, or the segmentor.
        merge: ``'mean'`` of the probabilities over all views, or ``'max'``: the softmax
            of the maximum over scales of the mean logits of an image and its mirror
            image, as AFA evaluates (tscd.md, section 11). Views of one size are those
            of one scale.
        crf: Config of a CRF, called with (img, prob); None leaves the mean alone. The
            guide is the image on disk.
        **kwargs: Arguments of MMEngine's ``BaseTTAModel``.
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
        """Merge the views of each image.

        Args:
            data_samples_list: For each image its views, with ``seg_logits``
                (C, H, W) at the original size.

        Returns:
            One data sample an image.
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
    """Mean of the probabilities (C, H, W) of all views."""
    return torch.stack([v.seg_logits.data.float().softmax(0) for v in views]).mean(0)


def max_probs(views: list) -> Tensor:
    """Probabilities (C, H, W) of the strongest scale of each class and pixel."""
    scales: dict[tuple, list[Tensor]] = {}
    for view in views:
        size = tuple(view.metainfo['img_shape'][:2])
        scales.setdefault(size, []).append(view.seg_logits.data.float())
    means = [torch.stack(logits).mean(0) for logits in scales.values()]
    return torch.stack(means).amax(0).softmax(0)
