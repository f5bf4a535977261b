_base_ = './mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
model = dict(
    segmentor=dict(
        backbone=dict(
            depth=101,
            init_cfg=dict(checkpoint='open-mmlab://resnet101_v1c'),
        )
    )
)
