# As in the released code: no distillation, the whole image as guide of the CRF, labels
# in the padding of crops, one scale per batch.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
custom_hooks = [*_base_.weak_hooks, dict(type='PWMDistillationHook', mode='never')]
model = dict(crf_guide='resized_full', mask_padding=False)
train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='KeepFullImage', size=(321, 321)),
    dict(type='RandomRescale', ratio_range=(0.7, 1.3), batch_size=4),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=(321, 321)),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
