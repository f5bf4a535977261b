# MKD of the toy set with the tags of all images: tools/demo_mixed.py.
_base_ = './mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py'
max_iters = 300
train_dataloader = dict(
    dataset=dict(tags=dict(path=f'{_base_.data_root}/tags_train.json'))
)
model = dict(semi_train_cfg=dict(tag_filter=dict()))
param_scheduler = [
    dict(type='PolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
