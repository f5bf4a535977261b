from typing import Any


def check_class_scores(net: Any) -> None:
    """Check that there is an output channel for each class, for pseudo-labels.

    Args:
        net: Segmentor or decode head of mmseg.

    Raises:
        ValueError: If it has one output channel.
    """
    if net.out_channels == 1:
        raise ValueError(
            'pseudo-labels need a score of each class: set out_channels of the decode '
            'head to num_classes, found 1'
        )
