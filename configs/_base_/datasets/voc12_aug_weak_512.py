# VOC 2012 with the augmentation of AFA and TSCD: images are resized by Pillow, and the
# padding is black instead of the mean color.
_base_ = './voc12_aug_weak.py'
crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomRescale', ratio_range=(0.5, 2.0), backend='pillow'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size, pad_val=(0, 0, 0)),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
