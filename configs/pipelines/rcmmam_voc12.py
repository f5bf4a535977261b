# Two-step weak supervision on VOC 2012: seeds of RCM + MAM in one run without phases,
# AffinityNet, PSPNet. The 1,464 images of train are scored.
seeds = dict(
    config='configs/rcm_mam/rcmmam-single_wrn38_1xb8-19830_wsss-voc12aug-384.py',
    source='cam',
    gt_split='val',
)
labels = dict(alphas=(4.0, 32.0))
affinity = dict(
    config='configs/affinity_net/affinitynet_wrn38_1xb8-10576_wsss-voc12aug-448.py'
)
network = dict(
    config='configs/asdt/retrain/pspnet_r101-d8_8xb2-20k_sup-asdtmasks-voc12aug-512.py'
)
evaluation = {
    'plain': {},
    'ms-flip': {'ms_flip': True},
    'ms-flip-crf': {'ms_flip': True, 'crf': True},
}
