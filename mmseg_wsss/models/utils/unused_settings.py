from collections.abc import Mapping


def check_unused(pretrained: None, decode_head: Mapping | None, used: str) -> None:
    """Check the settings that a model accepts only for mmseg's tools.

    ``init_model`` sets ``model.pretrained = None``, and ``get_flops.py`` reads
    ``model.decode_head.type``, for every config.

    Args:
        pretrained: Setting ``pretrained``.
        decode_head: Setting ``decode_head``.
        used: Name of the head to configure instead.

    Raises:
        ValueError: If a setting would be ignored silently.
    """
    if pretrained is not None:
        raise ValueError(
            f'pretrained={pretrained!r} is not supported; set '
            "init_cfg=dict(type='Pretrained', checkpoint=...) of the backbone"
        )
    unused = sorted(set(decode_head or {}) - {'type'})
    if unused:
        raise ValueError(
            f'model.decode_head names a type alone, for get_flops.py; found {unused}: '
            f'set them in model.{used}'
        )
