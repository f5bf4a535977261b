# Stage 2 with the settings of PMM's PSPNet, on mmseg's ResNet-101.
_base_ = [
    '../../_base_/models/pspnet_r101-d8.py',
    '../../_base_/datasets/voc12_aug_masks.py',
    '../../_base_/schedules/retrain_20k.py',
    '../../_base_/plain_runtime.py',
]
model = dict(test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(480, 480)))
