_base_ = './mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
split = 'ImageSets/Segmentation/voc-blended-cps_1_2'
train_dataloader = dict(
    dataset=dict(
        labeled=dict(ann_file=f'{split}/labeled.txt'),
        unlabeled=dict(ann_file=f'{split}/unlabeled.txt'),
    )
)
