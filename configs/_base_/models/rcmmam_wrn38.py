# RCM + MAM on WideResNet-38.
_base_ = './rcmmam.py'
model = dict(
    backbone=dict(
        type='WideResNet38',
        dropout=(0.2, 0.2),
        frozen_stages=('conv1a', 'b2'),
        init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet_38d.params'),
    ),
    cam_head=dict(in_channels=4096),
)
