# As released, with the confidence threshold that readers of the paper report. It is not
# known which mean belongs to it: the released class averages over confident pixels, the
# authors' later code over all valid ones (mean_over='valid').
_base_ = './mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
model = dict(
    segmentor=dict(
        backbone=dict(norm_cfg=dict(momentum=0.001)),
        decode_head=dict(norm_cfg=dict(momentum=0.001)),
    ),
    semi_train_cfg=dict(
        teacher_mode='train',
        mask_padding=False,
        pseudo_thr_teacher=0.95,
        mean_over='confident',
    ),
)
