# The same with plain CAMs as seeds: the control. The classifier is the one from which
# all voc-mini runs start, and is trained already.
_base_ = './rcmmam_voc-mini.py'
seeds = dict(
    config='configs/cam/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225.py',
    checkpoint='work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth',
)
