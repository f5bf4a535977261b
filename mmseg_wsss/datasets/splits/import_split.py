"""Import of published lists of labeled and unlabeled images."""

from mmseg_wsss.utils.files import StrPath

from .own_lists import read_own_list
from .published import identify
from .semi_split import SemiSplit
from .upstream_lists import read_upstream_list

OWN = 'own'  # data of one's own, in place of a published dataset


def import_split(
    labeled: StrPath,
    dataset: str,
    unlabeled: StrPath | None = None,
    everything: StrPath | None = None,
    family: str | None = None,
    size: str | None = None,
    folder: str | None = None,
) -> SemiSplit:
    """Import published lists, and identify the split by the labeled images.

    Lists of one's own data (``dataset='own'``) are read by
    :func:`~mmseg_wsss.datasets.splits.own_lists.read_own_list`.

    Args:
        labeled: List of the labeled images; see
            :func:`~mmseg_wsss.datasets.splits.upstream_lists.read_upstream_list`.
        dataset: ``'voc'``, ``'cityscapes'``, ``'coco'``, ``'ade20k'``, or ``'own'``.
        unlabeled: List of the unlabeled images.
        everything: List of all images, in place of ``unlabeled``: the images not in
            ``labeled`` are unlabeled.
        family: Family of a split that is not identified.
        size: Size of such a split; by default the number of labeled images.
        folder: Folder of one's own images, removed from their names; by default it
            follows from the masks of the labeled images.

    Raises:
        ValueError: If the lists are broken or incomplete, the split is not identified
            and ``family`` is not given, or it is identified as one of another family.
    """
    if dataset == OWN:
        names, folder = read_own_list(labeled, folder)
    else:
        names = read_upstream_list(labeled, dataset)

    def read(path: StrPath) -> list[str]:
        if dataset == OWN:
            return read_own_list(path, folder)[0]
        return read_upstream_list(path, dataset)

    if unlabeled is not None:
        others = read(unlabeled)
    elif everything is not None:
        pool = read(everything)
        missing = sorted(set(names) - set(pool))
        if missing:
            raise ValueError(f'{missing[0]} of {labeled} is not in {everything}')
        known = set(names)
        others = [name for name in pool if name not in known]
    else:
        raise ValueError(
            f'{labeled}: expected a list of the unlabeled images, or of all images'
        )
    found = None if dataset == OWN else identify(names)
    # Some lists pair the labeled images of one split with fewer unlabeled ones.
    if found is not None and (family is None or len(others) == found.unlabeled):
        if family not in (None, found.family):
            raise ValueError(f'{labeled} is {found.name}, not of the family {family}')
        return SemiSplit(found.family, found.size, names, others)
    if family is None and dataset == OWN:
        family = OWN
    if family is None:
        raise ValueError(
            f'{labeled}: the {len(names)} labeled images are not those of a published '
            'split; name a family'
        )
    return SemiSplit(family, size or str(len(names)), names, others)
