# Four GPUs: four times the images per step, hence four times the learning rate.
_base_ = './mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
optim_wrapper = dict(optimizer=dict(lr=1e-2))
