# CAMs of RCM and MAM from a trained classifier, at a lower learning rate.
_no_rcm = {'model.loss_rcm': dict(type='RegionalContrastiveLoss', loss_weight=0.0)}
_no_mam = {'model.loss_mam': dict(type='MultiScaleAttentiveLoss', loss_weight=0.0)}
_lower_rate = {
    'optim_wrapper.optimizer.lr': 5e-4,
    'param_scheduler': [
        dict(type='PolyLR', power=0.9, begin=0, end=240, by_epoch=False)
    ],
}
_rcm_mam = dict(
    config='rcm_mam/rcmmam_r18_1xb16-400_wsss-toy-voc-128.py',
    start='classifier',
    hooks=dict(WeakWarmupHook=dict(iters=0)),
)

baseline = 'classifier alone'
seeds = (0, 1, 2, 3, 4)
# Pseudo-labels are scored on the first 100 training images.
cfg_options = {'export_dataloader.dataset.dataset.indices': 100}
max_iters = 240
starts = dict(
    classifier=dict(
        config='cam/cam_r18_1xb16-400_wsss-toy-voc-128.py', sources=('cam',)
    )
)
sources = ('cam', 'region')
runs = {
    'classifier alone': dict(
        cfg_options={**_lower_rate, **_no_rcm, **_no_mam}, **_rcm_mam
    ),
    'RCM': dict(cfg_options={**_lower_rate, **_no_mam}, **_rcm_mam),
    'MAM': dict(cfg_options={**_lower_rate, **_no_rcm}, **_rcm_mam),
    'RCM + MAM': dict(cfg_options=_lower_rate, **_rcm_mam),
}
