from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset

from mmseg_wsss.registry import DATASETS

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


@DATASETS.register_module()
class ImageFolder(BaseSegDataset):
    """Every image below a folder; no list and no mask is needed.

    Args:
        data_root: Folder of the images; sub-folders are searched too.
        classes: Names of the foreground classes; ``background`` is put before them.
            Not needed for the unlabeled part of a ``SemiDataset``.
        **kwargs: Arguments of mmseg's ``BaseSegDataset``.

    Raises:
        FileNotFoundError: If the folder is missing or holds no image.
    """

    def __init__(
        self, data_root: str, classes: Sequence[str] = (), **kwargs: Any
    ) -> None:
        kwargs.setdefault('metainfo', {'classes': ('background', *classes)})
        kwargs.setdefault('data_prefix', {'img_path': ''})
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Paths of the images, in alphabetical order."""
        folder = Path(self.data_prefix['img_path'])
        paths = sorted(
            path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES
        )
        if not paths:
            raise FileNotFoundError(
                f'ImageFolder: {folder} holds no image ({", ".join(SUFFIXES)})'
            )
        return [
            {
                'img_path': str(path),
                'label_map': None,
                'reduce_zero_label': False,
                'seg_fields': [],
            }
            for path in paths
        ]
