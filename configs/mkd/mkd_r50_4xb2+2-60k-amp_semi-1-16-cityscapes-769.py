# MKD on Cityscapes, 1/16 of the CPS lists. No such recipe was published: crop, batch,
# iterations and the hard pixels of the supervised loss are our choice (mkd.md,
# section 10). Twice the labeled images of VOC a step, hence twice the rate.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/cityscapes_semi.py',
    '../_base_/schedules/semi_30k.py',
    '../_base_/default_runtime.py',
]
max_iters = 60000
_base_.model.decode_head.update(
    num_classes=19, sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=100000)
)
_base_.model.test_cfg = dict(mode='slide', crop_size=(769, 769), stride=(512, 512))
model = dict(_delete_=True, type='MKD', segmentor=_base_.model)
optim_wrapper = dict(optimizer=dict(lr=5e-3))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(save_best='student1/mIoU'))
custom_hooks = [*_base_.custom_hooks, dict(type='MeanTeacherHook', decay=0.6)]
