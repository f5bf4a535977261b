# ASDT on WideResNet-38 as published. Source: Zhang et al., Alternate Self-Dual
# Teaching, https://arxiv.org/abs/2112.09459
_base_ = './rrm_wrn38.py'
model = dict(
    type='ASDT',
    teacher_head=_base_.head,
    crf_b=dict(
        type='DenseCRF',
        bilateral_sxy=83.0,
        bilateral_srgb=5.0,
        bilateral_compat=4.0,
    ),
    test_cfg=dict(fuse='max'),
)
