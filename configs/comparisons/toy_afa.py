# AFA: labels by a random walk along the learned affinity in the last quarter, against
# labels by the local refiner alone, with and without the affinity loss.
_config = 'afa/afa_mit-toy_1xb16-400_wsss-toy-voc-128.py'
_never = dict(AffinityLabelHook=dict(begin=399))  # the last step, at a rate of 0
_no_loss = {'model.loss_affinity': dict(type='AffinityLoss', loss_weight=0.0)}

baseline = 'local refiner'
seeds = (0, 1, 2, 3, 4)
# Pseudo-labels are scored on the first 100 training images.
cfg_options = {'export_dataloader.dataset.dataset.indices': 100}
sources = ('cam', 'cam_refined', 'merged', 'affinity')
tests = {'single scale': {}}
runs = {
    'local refiner': dict(config=_config, hooks=_never, cfg_options=_no_loss),
    'affinity loss': dict(config=_config, hooks=_never),
    'affinity loss and walk': dict(config=_config),
}
