# voc-mini with the labels and the seeds of an earlier stage of tools/wsss_pipeline.py,
# which sets the folders.
_base_ = './voc_mini_weak.py'
pipeline_dir = 'work_dirs/rcmmam_voc-mini'
train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(
        type='LoadPseudoLabel',
        folder=f'{pipeline_dir}/affinity_labels/masks',
        num_classes=21,
    ),
    dict(type='RandomRescale', ratio_range=(0.5, 1.2)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=_base_.crop_size),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
export_pipeline = [
    dict(type='LoadImageStrict'),
    dict(
        type='LoadPseudoLabel',
        folder=f'{pipeline_dir}/seeds/maps',
        num_classes=21,
        soft=True,
    ),
    dict(type='Resize', scale=(321, 321), keep_ratio=True),
    dict(type='PackWeakInputs'),
]
export_dataloader = dict(dataset=dict(pipeline=export_pipeline))
