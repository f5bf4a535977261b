# Stage 2 on a CPU: the light network on the masks of stage 1, from the trunk of the
# classifier from which stage 1 starts.
_base_ = [
    '../../_base_/models/deeplabv3plus_mobilenet-v2.py',
    '../../_base_/datasets/voc_mini_masks.py',
    '../../_base_/schedules/mini_600.py',
    '../../_base_/plain_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size, size_divisor=None),
    # With plain cross-entropy the network missed objects: 37 % of the pixels of a class
    # were found, 36 % of the errors were objects taken for background.
    decode_head=dict(loss_decode=dict(_delete_=True, type='BalancedCrossEntropyLoss')),
)
default_hooks = dict(checkpoint=dict(type='CheckpointHook'))
load_from = 'work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth'
