"""Consistency of class activation maps between two views."""

from torch import Tensor

from ..utils import resize


def equivariant_loss(cam_a: Tensor, cam_b: Tensor, tags: Tensor) -> Tensor:
    """Compute the mean absolute difference of the CAMs of two views.

    Every map is divided by its maximum plus 1e-5, which receives no gradient; the maps
    of absent classes count as 0. Source: the equivariant regularization L_er
    of Xu et al., "Self Correspondence Distillation for End-to-End Weakly-Supervised
    Semantic Segmentation" (TSCD), https://arxiv.org/abs/2302.13765. Their released code
    drops class 0 and computes both CAMs without gradient, so it has no effect there.

    Args:
        cam_a: CAM (N, K, h, w) of view a, at least 0; resized to view b (bilinear,
            ``align_corners=True``).
        cam_b: CAM (N, K, h', w') of view b, at least 0.
        tags: Image tags (N, K) in {0, 1}.

    Returns:
        Scalar in [0, 1], in float32 (float64 for float64).

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> cam_a = torch.tensor([[[[0.0, 2.0]]]])
        >>> cam_b = torch.tensor([[[[1.0, 1.0]]]])
        >>> equivariant_loss(cam_a, cam_b, torch.ones(1, 1))
        tensor(0.5000)
    """
    if not tuple(cam_a.shape[:2]) == tuple(cam_b.shape[:2]) == tuple(tags.shape):
        raise ValueError(
            'expected CAMs (N, K, h, w) and tags (N, K) with one N and K, got '
            f'{tuple(cam_a.shape)}, {tuple(cam_b.shape)} and {tuple(tags.shape)}'
        )
    maps = []
    for cam in (cam_a, cam_b):
        cam = resize(cam, cam_b.shape[2:], align_corners=True)
        maps.append(cam / (cam.detach().amax((2, 3), keepdim=True) + 1e-5))
    present = (tags > 0)[:, :, None, None]
    return ((maps[0] - maps[1]) * present).abs().mean()
