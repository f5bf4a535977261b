# The same with plain CAMs as seeds: the control.
_base_ = './rcmmam_voc-mini.py'
seeds = dict(config='configs/cam/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225.py')
