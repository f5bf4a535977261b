# TSCD: self-correspondence distillation (SCD), and VARM against PAR as the refiner.
_config = 'tscd/tscd_mit-toy_1xb16-400_wsss-toy-voc-128.py'
_no_scd = {'model.loss_scd': None}
_par = {'model.refiner': dict(type='LocalAffinityRefiner', kind='par')}

baseline = 'PAR'
seeds = (0, 1, 2, 3, 4)
# Pseudo-labels are scored on the first 100 training images.
cfg_options = {'export_dataloader.dataset.dataset.indices': 100}
sources = ('cam', 'cam_refined', 'merged')
tests = {'single scale': {}}
runs = {
    'PAR': dict(config=_config, cfg_options={**_no_scd, **_par}),
    'VARM': dict(config=_config, cfg_options=_no_scd),
    'SCD + PAR': dict(config=_config, cfg_options=_par),
    'SCD + VARM': dict(config=_config),
}
