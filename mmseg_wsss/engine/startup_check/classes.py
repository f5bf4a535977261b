"""Check heads, losses, transforms and padding against the classes of the data."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import nn

from mmseg_wsss.datasets import foreground_classes
from mmseg_wsss.models.decode_heads import CAMHead
from mmseg_wsss.utils.labels import IGNORE_INDEX

from .problem import Problem, few

# Attributes of heads, losses and transforms that hold the label of ignored pixels.
IGNORE_KEYS = ('ignore_index', 'seg_pad_val')
PARTS_OF_DATASETS = (
    'pipeline',
    'dataset',
    'datasets',
    'labeled',
    'tagged',
    'unlabeled',
)


def check_classes(model: nn.Module, metainfo: Mapping[str, Any]) -> Iterator[Problem]:
    """Compare the number of classes of every head with the dataset's.

    Args:
        model: Unwrapped segmentor.
        metainfo: Meta information of the training data, with ``classes``.
    """
    classes = metainfo.get('classes')
    if not classes:
        yield Problem(
            'the training data names no classes',
            "set metainfo=dict(classes=('background', ...)) of its dataset",
        )
        return
    if len(classes) > IGNORE_INDEX:
        yield Problem(
            f'the training data has {len(classes)} classes, at most {IGNORE_INDEX} are '
            f'possible since label {IGNORE_INDEX} means ignored',
            'merge classes',
        )
    expected = {
        BaseDecodeHead: len(classes),
        CAMHead: len(foreground_classes(metainfo)),
    }
    wrong: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, module in model.named_modules():
        for kind, number in expected.items():
            if isinstance(module, kind) and module.num_classes != number:
                wrong[module.num_classes, number].append(name)
    for (found, number), names in wrong.items():
        yield Problem(
            f'{few(names)} has num_classes={found}, the training data has '
            f'{len(classes)} classes ({few(classes)})',
            f'set num_classes={number}',
        )


def check_validation_classes(
    metainfo: Mapping[str, Any], validation: Mapping[str, Any]
) -> Iterator[Problem]:
    """Compare the classes of the validation data with the training data's.

    The spelling of the names may differ, the number and order of the classes may not.

    Args:
        metainfo: Meta information of the training data.
        validation: Meta information of the validation data.
    """
    wanted, found = (list(meta.get('classes') or ()) for meta in (metainfo, validation))
    if wanted and (
        len(found) != len(wanted)
        or (found != wanted and sorted(found) == sorted(wanted))
    ):
        yield Problem(
            f'the validation data has the classes {few(found) or "none"} '
            f'({len(found)}), the training data {few(wanted)} ({len(wanted)})',
            'give both the same metainfo.classes',
        )


def check_ignore_index(model: nn.Module, dataset: Any) -> Iterator[Problem]:
    """Find every part that ignores a label other than 255.

    Args:
        model: Unwrapped segmentor.
        dataset: Training data, with the transforms to check.
    """
    parts = [(name or 'model', module) for name, module in model.named_modules()]
    parts += [(type(step).__name__, step) for step in transforms_of(dataset)]
    wrong: dict[tuple[str, Any], list[str]] = defaultdict(list)
    for name, part in parts:
        for key in IGNORE_KEYS:
            value = getattr(part, key, None)
            # -100 is the default of losses that get a mask instead.
            if isinstance(value, int | float) and value not in (IGNORE_INDEX, -100):
                wrong[key, value].append(name)
    for (key, value), names in wrong.items():
        yield Problem(
            f'{few(sorted(set(names)))} has {key}={value}, but {IGNORE_INDEX} is '
            'the label of ignored pixels in this package',
            f'set {key}={IGNORE_INDEX}, and map label {value} of the masks to it',
        )


def transforms_of(node: Any) -> Iterator[BaseTransform]:
    """Yield the transforms of a dataset, nested ones included.

    Args:
        node: Dataset or wrapper of one, or a pipeline, transform or branches of it.
    """
    if isinstance(node, BaseTransform):
        yield node
    if isinstance(node, Mapping):
        parts = list(node.values())
    elif isinstance(node, list | tuple):
        parts = list(node)
    elif isinstance(node, BaseTransform | Compose):
        parts = list(vars(node).values())
    else:
        parts = [getattr(node, name, None) for name in PARTS_OF_DATASETS]
    for part in parts:
        # Some wrappers of datasets, such as RepeatDataset, have no base class.
        indexed = hasattr(part, '__getitem__') and not isinstance(part, str)
        if indexed or isinstance(part, BaseTransform | Compose):
            yield from transforms_of(part)
