from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS


@DATASETS.register_module()
class SceneDataset(BaseSegDataset):
    """Street scenes with nine classes in the files, trained as three groups.

    None of the groups is a background. The labels are mapped in ``__getitem__``, as
    projects do that share their masks with other tools.
    """

    METAINFO = dict(
        classes=('ground', 'vehicle', 'building'),
        palette=[[128, 64, 128], [0, 0, 142], [70, 70, 70]],
    )

    def __init__(self, img_suffix='.png', seg_map_suffix='.png', **kwargs):
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def __getitem__(self, idx):
        sample = super().__getitem__(idx)
        if 'gt_sem_seg' in sample['data_samples']:
            labels = sample['data_samples'].gt_sem_seg.data
            labels[labels != 255] //= 3
        return sample
