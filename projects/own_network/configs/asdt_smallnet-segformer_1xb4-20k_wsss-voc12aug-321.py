# ASDT with a backbone of this project and mmseg's SegFormer head; data, schedule and
# hooks are those of the published recipe.
_base_ = __import__('mmseg_wsss').config_path(
    'asdt/asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
)
# A child's list replaces that of its base: mmseg_wsss is repeated.
custom_imports = dict(imports=['mmseg_wsss', 'own_network'])
head = dict(
    _delete_=True,
    type='SegformerHead',
    in_channels=[32, 64, 128, 256],
    in_index=[0, 1, 2, 3],
    channels=128,
    dropout_ratio=0.1,
    num_classes=21,
    norm_cfg=dict(type='BN'),
    align_corners=False,
)
model = dict(
    backbone=dict(_delete_=True, type='SmallNet', widths=(32, 64, 128, 256)),
    cam_head=dict(in_channels=256),  # reads the last map
    teacher_head=head,
    decode_head=head,
)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
)
