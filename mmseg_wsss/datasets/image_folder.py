from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset

from mmseg_wsss.registry import DATASETS

from .folders import walk_files
from .image_name import IMAGE_SUFFIXES, image_name
from .label_maps import voc_palette
from .splits.split_lists import read_list


@DATASETS.register_module()
class ImageFolder(BaseSegDataset):
    """Dataset of all images below a folder, or of those in a list.

    Suffixes may be in upper case. Links are followed, hidden files and folders are
    skipped.

    Args:
        data_root: Folder of the images; sub-folders are searched too. Masks are read
            only with ``data_prefix=dict(img_path='', seg_map_path=FOLDER)``: PNG files
            with the paths of the images below their folder.
        ann_file: List of images, relative to ``data_root``: a path below the folder of
            the images, without suffix, in each line. All images by default.
        classes: Names of the foreground classes; ``background`` is added before them.
            Not needed for the unlabeled part of a ``SemiDataset``.
        **kwargs: Arguments of mmseg's ``BaseSegDataset``.

    Raises:
        FileNotFoundError: If the folder does not exist or contains no image, or the
            list or one of its images does not exist.
        ValueError: If the list is invalid, see :func:`.read_list`, or two of the images
            have the same name.
    """

    def __init__(
        self, data_root: str, classes: Sequence[str] = (), **kwargs: Any
    ) -> None:
        names = ('background', *classes)
        meta = {'classes': names, 'palette': voc_palette(len(names))}
        kwargs.setdefault('metainfo', meta)
        kwargs.setdefault('data_prefix', {'img_path': ''})
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return the paths of the images, in the order of the list or alphabet."""
        folder = self.data_prefix['img_path']
        paths = [
            path
            for path in walk_files(folder)
            if path.name.lower().endswith(IMAGE_SUFFIXES)
        ]
        if not paths:
            raise FileNotFoundError(
                f'ImageFolder: expected images ({", ".join(IMAGE_SUFFIXES)}) below '
                f'{folder}, found none; correct data_root'
            )
        paths = self._named(paths)
        masks = self.data_prefix.get('seg_map_path')
        infos: list[dict] = []
        for path in paths:
            info: dict = {
                'img_path': str(path),
                'label_map': None,
                'reduce_zero_label': False,
                'seg_fields': [],
            }
            if masks is not None:
                mask = Path(masks, path.relative_to(folder)).with_suffix('.png')
                info['seg_map_path'] = str(mask)
            infos.append(info)
        return infos

    def _named(self, paths: Sequence[Path]) -> list[Path]:
        """Return the images of the list ``ann_file``, or all; names must differ."""
        folder = self.data_prefix['img_path']
        below: dict[str, list[Path]] = {}
        for path in paths:
            below.setdefault(image_name(path, folder), []).append(path)
        names = read_list(self.ann_file, below) if self.ann_file else list(below)
        for name in names:
            found = below.get(name, [])
            if not found:
                raise FileNotFoundError(
                    f'{self.ann_file}: there is no image {name!r} below {folder}; '
                    'correct the list, or data_root'
                )
            if len(found) > 1:
                raise ValueError(
                    f'ImageFolder: {found[0]} and {found[1]} have the same name '
                    f'{name!r}; move masks to a folder outside of {folder}, or rename '
                    'one of the files'
                )
        return [below[name][0] for name in names]
