# MainNet's CAM at scale 1 against the plain mean, both divided by their maximum.
_base_ = '../rcmmam_wrn38_1xb8-13220_wsss-voc12aug-384.py'
model = dict(
    loss_mam=dict(type='MultiScaleAttentiveLoss', dissimilarity=False),
    main_scales=(1.0,),
    mam_normalize=True,
)
