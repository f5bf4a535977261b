from torch import Tensor

from ..utils import resize


def equivariant_loss(cam_a: Tensor, cam_b: Tensor, tags: Tensor) -> Tensor:
    """Mean absolute difference of the CAMs of two views (L_er of tscd.md, section 8).

    Every map is divided by its own maximum plus 1e-5, without a gradient through it;
    the maps of absent tags count as 0. The released code drops class 0 and has no
    gradient.

    Args:
        cam_a: CAM (N, K, h, w) of view a, at least 0; brought to the size of view b
            (bilinear, ``align_corners=True``).
        cam_b: CAM (N, K, h', w') of view b, at least 0.
        tags: Image tags (N, K) in {0, 1}.

    Returns:
        Scalar, computed in float32 (float64 for float64).

    Raises:
        ValueError: If the shapes do not fit.
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
