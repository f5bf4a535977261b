"""Evaluation at several scales, mirrored, and with a dense CRF, of any segmentor."""

import mmcv
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from torch import Tensor

from mmseg_wsss.registry import MODELS


@MODELS.register_module()
class WSSSTTAModel(SegTTAModel):
    """mmseg's test-time augmentation, with the mean probabilities refined by a CRF.

    Wraps any mmseg segmentor. ``seg_logits`` of the result holds the mean probabilities
    over the views, refined where there is a CRF.

    Args:
        module: Config of the segmentor, or the segmentor.
        crf: Config of a CRF, called with (img, prob); None leaves the mean alone. The
            guide is the picture on disk.
        **kwargs: Arguments of MMEngine's ``BaseTTAModel``.
    """

    def __init__(
        self, module: object, crf: dict | None = None, **kwargs: object
    ) -> None:
        super().__init__(module=module, **kwargs)
        self.crf = MODELS.build(crf) if crf else None

    def merge_preds(self, data_samples_list: list[list]) -> list:
        """Merge the views of each picture.

        Args:
            data_samples_list: For each picture its views, with ``seg_logits``
                (C, H, W) at the original size.

        Returns:
            One data sample a picture.
        """
        results = []
        for views in data_samples_list:
            prob = torch.stack([_prob(view.seg_logits.data) for view in views]).mean(0)
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


def _prob(logits: Tensor) -> Tensor:
    return logits.float().softmax(0)
