"""Inputs and outputs of the data check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmseg_wsss.utils.files import StrPath

from ..label_maps import LabelRule
from ..tags.image_tags import ImageTags


@dataclass(frozen=True)
class Finding:
    """One problem of a dataset.

    Args:
        kind: Kind of the problem, e.g. ``'unreadable image'``.
        location: File, or file and line.
        message: Details.
    """

    kind: str
    location: str
    message: str


@dataclass(frozen=True)
class SplitImage:
    """One image of a split: its name in tag files and its files."""

    name: str
    path: str
    mask: str | None = None


@dataclass
class Split:
    """Images of one split, and the rules against which they are checked.

    Args:
        name: ``'train'``, ``'val'``, ...; images of different names must not overlap.
        images: The images.
        folder: Folder that must contain the images; None skips the check.
        mask_folder: Folder that must contain the masks; None skips the check.
        rule: Valid labels of the masks; None skips the check.
        tags: Image tags of the images; None skips the check.
        classes: Name of the class of each label of the masks.
        img_suffix: Suffix of the image files, for messages.
        masks_optional: Whether masks may be missing, as in weakly labeled sets.
        cut_to_8_bits: Whether images are loaded with 8 bits, whatever their depth.
        rotate: Whether images are loaded with their EXIF orientation.
        partial_tags: Whether images may lack an entry among the tags.
    """

    name: str
    images: Sequence[SplitImage]
    folder: StrPath | None = None
    mask_folder: StrPath | None = None
    rule: LabelRule | None = None
    tags: ImageTags | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    img_suffix: str = '.jpg'
    masks_optional: bool = False
    cut_to_8_bits: bool = False
    rotate: bool = True
    partial_tags: bool = False


@dataclass
class Report:
    """Result of the data check.

    Args:
        findings: All problems.
        remarks: Classes that no mask or no tag of a split contains. This may be correct
            in small splits, but such a class is neither trained nor evaluated.
        images: Number of readable images of each split name.
        masks: Number of readable masks of each split name.
    """

    findings: list[Finding] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)
    masks: dict[str, int] = field(default_factory=dict)
