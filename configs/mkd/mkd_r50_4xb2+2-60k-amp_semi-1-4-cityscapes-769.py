_base_ = './mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
split = 'splits/cityscapes-cps_1_4'
train_dataloader = dict(
    dataset=dict(
        labeled=dict(ann_file=f'{split}/labeled.txt'),
        unlabeled=dict(ann_file=f'{split}/unlabeled.txt'),
    )
)
