# Weak views differ in their geometry alone; everything else is that of the MKD run.
_base_ = '../mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
unlabelled_pipeline = [
    dict(type='LoadPicture'),
    *_base_.geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=[dict(type='PackWeakInputs')],
        unsup_strong=_base_.strong_view,
    ),
]
train_dataloader = dict(dataset=dict(unlabelled=dict(pipeline=unlabelled_pipeline)))
