# UniMatch V2: the labels of a mean teacher, two strong views of complementary features.
_base_ = './unimatch_mobilenet-v2_1xb4+4-400_semi-1-4-voc-mini-225.py'
model = dict(type='UniMatchV2')
custom_hooks = [*_base_.custom_hooks, dict(type='MeanTeacherHook', decay=0.996)]
