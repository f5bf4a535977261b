# Stage 2 on a CPU: the light network on the masks of stage 1.
_base_ = [
    '../../_base_/models/deeplabv3plus_mobilenet-v2.py',
    '../../_base_/datasets/voc_mini_masks.py',
    '../../_base_/schedules/mini_600.py',
    '../../_base_/plain_runtime.py',
]
model = _base_.segmentor
model.data_preprocessor.update(size=_base_.crop_size, size_divisor=None)
default_hooks = dict(checkpoint=dict(type='CheckpointHook'))
