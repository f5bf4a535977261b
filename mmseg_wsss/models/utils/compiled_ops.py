"""A clear error if a network needs mmcv's compiled operators and they are missing."""

from importlib.util import find_spec
from typing import Any

from mmseg_wsss.utils.configs import walk_dicts

NEEDS_OPS = frozenset(
    {
        'CCHead',
        'PSAHead',
        'PointHead',
        'Mask2FormerHead',
        'DCN',
        'DCNv2',
        'CARAFE',
        'carafe',
    }
)


def ops_available() -> bool:
    """Return whether this installation of mmcv has compiled operators."""
    return find_spec('mmcv._ext') is not None


def require_ops(cfg: Any) -> None:
    """Check that the compiled operators that a model config needs are installed.

    Args:
        cfg: Config of a model or a part of one.

    Raises:
        RuntimeError: If a part needs mmcv's compiled operators and they are missing;
            the message names the part and the remedies.
    """
    if ops_available():
        return
    # Types of modules and of upsampling modes; a type may also be a class.
    kinds = {str(part.get('type')) for part in walk_dicts(cfg)}
    needed = sorted(kinds & NEEDS_OPS)
    if needed:
        import mmcv

        raise RuntimeError(
            f'{", ".join(needed)} needs the compiled operators of mmcv, which '
            f'{mmcv.__file__} ({mmcv.__version__}) lacks; run `make env-ops` in a '
            'clone of this project, or install an mmcv with operators (`mim install '
            'mmcv` or `mim install onedl-mmcv`)'
        )
