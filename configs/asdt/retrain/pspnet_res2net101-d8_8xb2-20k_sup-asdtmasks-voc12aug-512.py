# Stage 2 on the network of the published figure, a Res2Net-101 of mmpretrain (which
# needs torchvision). Whether ASDT also used PMM's loss clamp and second round of masks
# is not published; this config uses neither.
_base_ = [
    '../../_base_/models/pspnet-d8.py',
    '../../_base_/datasets/voc12_aug_masks.py',
    '../../_base_/schedules/retrain_20k.py',
    '../../_base_/plain_runtime.py',
]
custom_imports = dict(imports=['mmpretrain.models'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        type='mmpretrain.Res2Net',
        depth=101,
        scales=4,
        base_width=26,
        deep_stem=False,
        avg_down=False,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        norm_cfg=_base_.norm_cfg,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/res2net/'
            'res2net101-w26-s4_3rdparty_8xb32_in1k_20210927-870b6c36.pth',
            prefix='backbone.',
        ),
    ),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(480, 480)),
)
