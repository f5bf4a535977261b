"""Teacher A of RRM and ASDT, step by step as section 3 of RRM has it."""

import torch
import torch.nn.functional as F
from helpers.methods import CRF
from torch import Tensor

from mmseg_wsss.models.pseudo_labels import reliable_labels
from mmseg_wsss.registry import MODELS


def sparse_label(cam: Tensor, tags: Tensor, img: Tensor, valid: Tensor) -> Tensor:
    """Label (N, H, W) of crops from a CAM (N, K, h, w) that is not normalized."""
    cam = F.interpolate(cam, img.shape[2:], mode='bilinear') * valid[:, None]
    cam = tags[:, :, None, None] * cam / (cam.amax((2, 3), keepdim=True) + 1e-5)
    label, _ = label_of_scores(cam, tags, img)
    return label.where(valid, 255)


def label_of_scores(cam: Tensor, tags: Tensor, img: Tensor) -> tuple[Tensor, Tensor]:
    """Label of a CAM in [0, 1], and the marginals with the strong background."""
    crf = MODELS.build(CRF)
    present = torch.cat([torch.ones(len(tags), 1), tags], 1) > 0
    strong, weak = (
        crf(img, torch.cat([(1 - cam.amax(1, keepdim=True)) ** power, cam], 1), present)
        for power in (4, 32)
    )
    return reliable_labels(cam, tags, strong, weak), strong
