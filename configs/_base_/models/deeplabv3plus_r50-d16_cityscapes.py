# The network for Cityscapes: the supervised loss on hard pixels (OHEM), sliding-window
# inference.
_base_ = './deeplabv3plus_r50-d16.py'
num_classes = 19
segmentor = dict(
    decode_head=dict(
        num_classes=num_classes,
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=100000),
    ),
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(512, 512)),
)
