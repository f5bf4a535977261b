# The images without masks get the labels and the seeds of an earlier stage of
# tools/wsss_pipeline.py, which sets the folders.
_base_ = './voc_mini_tags-and-masks.py'
load = dict(type='LoadPseudoLabel', folder='', num_classes=21)
train_dataloader = dict(
    dataset=dict(unlabeled=dict(pipeline=[_base_.load, load, *_base_.augment]))
)
export_pipeline = [_base_.load, dict(load, soft=True), _base_.resize, _base_.pack]
export_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=export_pipeline)))
