# In a few hundred steps the published distillation weight of 0.1 has almost no effect:
# the weight is 1 here, and the dense labels of teacher B are limited to the tags.
_base_ = './rrm_mobilenet-v2.py'
model = dict(
    type='ASDT',
    teacher_head=_base_.head,
    distill_weight=1.0,
    tag_filter=True,
    crf_b=dict(
        type='DenseCRF',
        bilateral_sxy=83.0,
        bilateral_srgb=5.0,
        bilateral_compat=4.0,
        scale_factor=0.5,
    ),
)
