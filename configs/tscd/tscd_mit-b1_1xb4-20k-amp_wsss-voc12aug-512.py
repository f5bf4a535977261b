# One GPU with the total batch of two, in mixed precision.
_base_ = './tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py'
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
