# The control of rcmmam_voc-mini.py, with plain CAMs as seeds. The classifier, from
# which all voc-mini runs start, must already be trained.
_base_ = './rcmmam_voc-mini.py'
seeds = dict(
    config='configs/cam/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225.py',
    checkpoint='work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth',
)
