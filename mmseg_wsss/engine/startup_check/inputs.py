"""Check crops, padding, tags and image names, and the preprocessor in effect."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mmcv.transforms import BaseTransform, Normalize
from torch import nn

from mmseg_wsss.datasets.tagged_dataset import TaggedDataset
from mmseg_wsss.datasets.transforms import SemiMultiBranch
from mmseg_wsss.datasets.weak_dataset import WeakDataset
from mmseg_wsss.models.segmentors.semi import SemiBaseSegmentor
from mmseg_wsss.models.segmentors.weak import WeakClassifier, WeakSegmentor
from mmseg_wsss.models.utils import has_pooled_batch_norm

from .classes import PARTS_OF_DATASETS, transforms_of
from .problem import Problem


def check_padding(model: nn.Module, dataset: Any) -> Iterator[Problem]:
    """Compare the size to which batches are padded with the training crops.

    Args:
        model: Unwrapped segmentor.
        dataset: Training data.
    """
    preprocessors: list[Any] = [
        module for module in model.modules() if hasattr(module, 'size_divisor')
    ]
    sizes = {tuple(part.size) for part in preprocessors if part.size is not None}
    crops = crop_sizes(dataset)
    if not crops:
        return
    largest = tuple(max(sides) for sides in zip(*crops.values()))
    for size in sizes:
        if any(side > crop for side, crop in zip(size, largest)):
            yield Problem(
                f'data_preprocessor.size={size} pads training crops of {largest}',
                f'set data_preprocessor.size={largest}',
            )


def check_branches(model: nn.Module, dataset: Any) -> Iterator[Problem]:
    """Check that all crops have the same size if the method requires it.

    Args:
        model: Unwrapped segmentor.
        dataset: Training data.
    """
    crops = crop_sizes(dataset)
    if getattr(model, 'one_crop_size', False) and len(set(crops.values())) > 1:
        found = ', '.join(f'{size} in {name}' for name, size in sorted(crops.items()))
        yield Problem(
            f'{type(model).__name__} needs crops of one size, found {found}',
            'set one crop_size in all training pipelines',
        )


def check_pooling(model: nn.Module, sampler: Any) -> Iterator[Problem]:
    """Find forwards of one image for heads with batch norm after a global pooling.

    Args:
        model: Unwrapped segmentor.
        sampler: Sampler of the training data; ``counts``, if present, is the number of
            images per batch of each part.
    """
    counts = getattr(sampler, 'counts', None) or []
    joint = getattr(getattr(model, 'train_cfg', None), 'concat_forward', True)
    forwards, change = counts[:1], 'batch_size and source_ratio for 2 labeled images'
    if len(getattr(model, 'branches', ())) > 1:
        # Tagged and unlabeled images share the branch unsup_weak.
        forwards = [*forwards, sum(counts[1:])]
        change = f'semi_train_cfg.concat_forward=True, or {change} and 2 others'
    if 1 in forwards and not joint and has_pooled_batch_norm(model):
        yield Problem(
            f'a batch has {counts} images of the parts, and a head of the network '
            'pools a whole image before batch norm, which needs two',
            f'set {change}',
        )


def check_normalization(model: nn.Module, dataset: Any) -> Iterator[Problem]:
    """Find images that are normalized twice.

    Args:
        model: Unwrapped segmentor.
        dataset: Training data.
    """
    steps = {type(step) for step in transforms_of(dataset)}
    means = [getattr(part, '_enable_normalize', False) for part in model.modules()]
    if Normalize in steps and any(means):
        yield Problem(
            'the training pipeline has Normalize, and data_preprocessor has mean and '
            'std: images are normalized twice',
            'remove Normalize from the pipelines',
        )


def check_hidden_masks(dataset: Any) -> Iterator[Problem]:
    """Find images with tags whose masks would become labels.

    Args:
        dataset: Training data.
    """
    if any(part.test_mode for part in _weak_datasets(dataset)):
        yield Problem(
            'train_dataloader has a WeakDataset with test_mode=True, which keeps the '
            'masks for an evaluation; in training they would become labels',
            'remove test_mode=True from it, or train on SemiDataset if some images '
            'are to have masks',
        )


def _weak_datasets(node: Any) -> Iterator[WeakDataset]:
    """Yield the ``WeakDataset`` inside a dataset, or inside wrappers of any kind."""
    if isinstance(node, WeakDataset):
        yield node
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _weak_datasets(part)
    elif hasattr(node, '__getitem__'):  # some wrappers have no base class
        for name in PARTS_OF_DATASETS:
            yield from _weak_datasets(getattr(node, name, None))


def check_tags(model: nn.Module, dataset: Any) -> Iterator[Problem]:
    """Check that the data has the tags that a segmentor needs, and none unused.

    Args:
        model: Unwrapped segmentor.
        dataset: Training data; a ``SemiDataset`` may have tags of some images.
    """
    has_tags = getattr(dataset, 'has_tags', None)
    if has_tags is None:
        if getattr(model, 'masks_only', False):
            yield Problem(
                f'{type(model).__name__} has masks_only=True, and the dataset '
                f'{type(dataset).__name__} has no labeled part',
                'train on SemiDataset, or set model.masks_only=False',
            )
        parts = [dataset, *getattr(dataset, 'datasets', ())]
        tagged = any(isinstance(part, TaggedDataset) for part in parts)
        if tagged or not isinstance(model, SemiBaseSegmentor):
            return
    else:
        yield from _check_first_class(dataset)
        if isinstance(model, WeakClassifier | WeakSegmentor):
            yield from _check_weak(type(model).__name__, dataset)
            return
    users = {
        'semi_train_cfg.tag_filter': getattr(model.train_cfg, 'tag_filter', None),
        'cam_head': getattr(model, 'cam_head', None),
    }
    used = [name for name, value in users.items() if value is not None]
    if used and not has_tags:
        yield Problem(
            f'model.{used[0]} needs image tags, and no image has any',
            'set tags=dict(path=...) of SemiDataset',
        )
    num_branches = len(getattr(model, 'branches', ()))
    filtered = num_branches > 1 and 'semi_train_cfg.tag_filter' in used
    if has_tags and filtered and not _tagged_parts(dataset):
        yield Problem(
            'model.semi_train_cfg.tag_filter filters the pseudo-labels of images '
            'without masks, and only the labeled images have tags',
            'set tags=dict(path=...) of SemiDataset',
        )
    if has_tags and 'cam_head' in used:
        yield from _check_weak_views(dataset)
    if has_tags and not used:
        wanted = list(users)
        if num_branches == 1:  # no pseudo-labels
            wanted[0] += ' with class_aware_ce=True'
        yield Problem(
            'SemiDataset has tags, but the model does not use them',
            f'set model.{" or model.".join(wanted)}, or remove the tags',
        )


def _tagged_parts(dataset: Any) -> dict[str, TaggedDataset]:
    """Return the parts with tags beside the labeled one, by their names."""
    return {
        name: part
        for name, part in dataset.parts.items()
        if part is not dataset.labeled and isinstance(part, TaggedDataset)
    }


def _check_weak_views(dataset: Any) -> Iterator[Problem]:
    """Find tagged images that lack the view on which a ``cam_head`` is trained."""
    for name, part in _tagged_parts(dataset).items():
        steps = [s for s in transforms_of(part) if isinstance(s, SemiMultiBranch)]
        branches = sorted({branch for step in steps for branch in step.branches})
        if 'unsup_weak' not in branches:
            yield Problem(
                'model.cam_head is trained on the branch unsup_weak of images with '
                f'tags, and the pipeline of the {name} images has {branches}',
                "add unsup_weak=[dict(type='PackWeakInputs')] to its SemiMultiBranch",
            )


def _check_first_class(dataset: Any) -> Iterator[Problem]:
    """Find a background with another name: a first class in most masks but no tag."""
    labeled, others = dataset.labeled, _tagged_parts(dataset).values()
    if not others or len(labeled.classes) < len(labeled.metainfo['classes']):
        return
    count = _count_first_class(labeled)
    if 2 * count > len(labeled) and not any(map(_count_first_class, others)):
        yield Problem(
            f'{count} of {len(labeled)} masks have the first class '
            f'{labeled.classes[0]!r}, and no tag names it',
            "call it 'background' if it is the background, else add its tags",
        )


def _count_first_class(part: TaggedDataset) -> int:
    names = [name for name in map(part.name, range(len(part))) if name in part.tags]
    return sum(int(part.tags.vector(name)[0]) for name in names)


def _check_weak(method: str, dataset: Any) -> Iterator[Problem]:
    """Check that a ``SemiDataset`` fits a weakly supervised method."""
    for name, part in dataset.parts.items():
        tagged = isinstance(part, TaggedDataset)
        untagged = part.untagged() if tagged else part.name(0)
        if untagged is not None:
            yield Problem(
                f'{method} needs tags of every image, and {untagged} of the {name} '
                'images has none',
                'set tags=dict(path=...) of SemiDataset and tagged in place of '
                'unlabeled',
            )
    counts = Counter(
        name
        for part in dataset.parts.values()
        for name in {part.name(index) for index in range(len(part))}
    )
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        yield Problem(
            f'{repeated[0]} is the name of an image in several parts of SemiDataset, '
            'which an export of its labels refuses',
            'remove it from one of the folders or lists if it is one image, else '
            'rename it',
        )
    if any(isinstance(step, SemiMultiBranch) for step in transforms_of(dataset)):
        yield Problem(
            f'{method} takes images without branches, and a training pipeline has '
            'SemiMultiBranch',
            "replace it by dict(type='PackWeakInputs')",
        )


def check_preprocessor(cfg: Mapping[str, Any]) -> Iterator[Problem]:
    """Find a preprocessor of the inner segmentor that the outer one replaces.

    Args:
        cfg: Config of the run.
    """
    outer = cfg.get('data_preprocessor')
    model = cfg.get('model') or {}
    outer = model.get('data_preprocessor') or outer
    inner = (model.get('segmentor') or {}).get('data_preprocessor')
    if outer and inner:
        given = outer.get('data_preprocessor', outer)
        keys = sorted(
            key
            for key in {*given, *inner}
            if given.get(key) != inner.get(key) and key != 'type'
        )
        if keys:
            yield Problem(
                'model.segmentor.data_preprocessor is replaced by data_preprocessor, '
                f'which differs in {", ".join(keys)}',
                'remove one of them',
            )


def crop_sizes(dataset: Any) -> dict[str, tuple[int, int]]:
    """Return the last crop size (H, W) of each pipeline of the training data.

    Returns:
        Sizes by part: ``labeled``, ``tagged``, ``unlabeled``, or ``dataset`` without
        parts. Pipelines without a crop are left out.
    """
    names = ('labeled', 'tagged', 'unlabeled')
    parts = {name: getattr(dataset, name, None) for name in names}
    found = {name: part for name, part in parts.items() if part is not None}
    sizes = {}
    for name, part in (found or {'dataset': dataset}).items():
        for size in filter(None, map(_crop_size, transforms_of(part))):
            sizes[name] = size
    return sizes


def _crop_size(step: BaseTransform) -> tuple[int, int] | None:
    size = getattr(step, 'crop_size', None)
    if isinstance(step, SemiMultiBranch) or size is None:
        return None
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
