# Ablation. Weak views without color operations.
_base_ = '../mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
unlabeled_pipeline = [
    dict(type='LoadImageStrict'),
    *_base_.geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=[dict(type='PackWeakInputs')],
        unsup_strong=_base_.strong_view,
    ),
]
train_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=unlabeled_pipeline)))
