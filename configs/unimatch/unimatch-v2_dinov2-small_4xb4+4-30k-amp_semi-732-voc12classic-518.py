# UniMatch V2 on DINOv2 through mmpretrain, on 732 labeled images of the classic split.
# mmseg's DPTHead needs class tokens that mmpretrain's backbone does not return, so a
# feature pyramid and a UPerHead replace it.
_base_ = [
    '../_base_/datasets/voc12_semi.py',
    '../_base_/schedules/semi_30k_adamw.py',
    '../_base_/default_runtime.py',
]
custom_imports = dict(
    imports=['mmseg_wsss', 'mmpretrain.models'], allow_failed_imports=False
)
crop_size = (518, 518)  # 37 patches of 14 pixels
geometry = [
    dict(type='RandomRescale', ratio_range=(0.5, 2.0)),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
]
weak_view = [dict(type='PackWeakInputs')]
strong_view = [*_base_.unimatch_strong, dict(type='PackWeakInputs')]
labeled_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadAnnotationsStrict', num_classes=21),
    *geometry,
    dict(type='SemiMultiBranch', sup=weak_view),
]
unlabeled_pipeline = [
    dict(type='LoadImageStrict'),
    *geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=weak_view,
        unsup_strong_0=strong_view,
        unsup_strong_1=strong_view,
    ),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(518, 518), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    dataset=dict(
        split='ImageSets/Segmentation/voc-classic_732',
        labeled=dict(pipeline=labeled_pipeline),
        unlabeled=dict(pipeline=unlabeled_pipeline),
    )
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='UniMatchV2',
    decode_head=dict(type='UPerHead'),  # only read by mmseg's get_flops.py
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size_divisor=1,
            test_cfg=dict(size_divisor=14),
        ),
        backbone=dict(
            type='mmpretrain.VisionTransformer',
            arch='dinov2-small',
            img_size=518,
            patch_size=14,
            layer_scale_init_value=1e-5,
            out_indices=(2, 5, 8, 11),
            out_type='featmap',
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.openmmlab.com/mmpretrain/v1.0/dinov2/'
                'vit-small-p14_dinov2-pre_3rdparty_20230426-5641ca5a.pth',
                prefix='backbone',
            ),
        ),
        neck=dict(type='Feature2Pyramid', embed_dim=384, norm_cfg=norm_cfg),
        decode_head=dict(
            type='UPerHead',
            in_channels=[384, 384, 384, 384],
            in_index=[0, 1, 2, 3],
            pool_scales=(1, 2, 3, 6),
            channels=256,
            dropout_ratio=0.1,
            num_classes=21,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(
                type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True
            ),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    ),
    semi_test_cfg=dict(predict_on='teacher'),
)
default_hooks = dict(checkpoint=dict(save_best='teacher/mIoU'))
custom_hooks = [*_base_.runtime_hooks, dict(type='MeanTeacherHook', decay=0.996)]
