"""Import of published lists of labeled and unlabeled images."""

import os

from .published import identify
from .semi_split import SemiSplit
from .upstream_lists import read_upstream_list

StrPath = str | os.PathLike[str]


def import_split(
    labeled: StrPath,
    dataset: str,
    unlabeled: StrPath | None = None,
    everything: StrPath | None = None,
    family: str | None = None,
    size: str | None = None,
) -> SemiSplit:
    """Import published lists and identify the split by their content.

    Args:
        labeled: List of the labeled images; see
            :func:`~mmseg_wsss.datasets.splits.upstream_lists.read_upstream_list`.
        dataset: ``'voc'``, ``'cityscapes'``, ``'coco'`` or ``'ade20k'``.
        unlabeled: List of the unlabeled images.
        everything: List of all images, in place of ``unlabeled``: the images not in
            ``labeled`` are unlabeled.
        family: Family of a split that is not identified.
        size: Its size; by default the number of labeled images.

    Raises:
        ValueError: If the lists are broken or incomplete, the split is not identified
            and ``family`` is not given, or it is identified as one of another family.
    """
    names = read_upstream_list(labeled, dataset)
    if unlabeled is not None:
        others = read_upstream_list(unlabeled, dataset)
    elif everything is not None:
        pool = read_upstream_list(everything, dataset)
        missing = sorted(set(names) - set(pool))
        if missing:
            raise ValueError(f'{missing[0]} of {labeled} is not in {everything}')
        others = [name for name in pool if name not in set(names)]
    else:
        raise ValueError(
            f'{labeled}: expected a list of the unlabeled images, or of all images'
        )
    found = identify(names)
    # Some lists pair the labeled images of one split with fewer unlabeled ones.
    if found is not None and (family is None or len(others) == found.unlabeled):
        if family not in (None, found.family):
            raise ValueError(f'{labeled} is {found.name}, not of the family {family}')
        return SemiSplit(found.family, found.size, names, others)
    if family is None:
        raise ValueError(
            f'{labeled}: the {len(names)} labeled images are not those of a published '
            'split; name a family'
        )
    return SemiSplit(family, size or str(len(names)), names, others)
