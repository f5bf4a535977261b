# MKD of the toy set with the tags of all images.
_base_ = './mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py'
train_dataloader = dict(
    dataset=dict(tags=dict(path=f'{_base_.data_root}/tags_train.json'))
)
model = dict(semi_train_cfg=dict(tag_filter=dict()))
