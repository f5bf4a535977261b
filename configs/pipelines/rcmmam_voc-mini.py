# Two-step weak supervision on voc-mini. The seeds come from RCM, which gave better ones
# alone (33.4 mIoU) than together with MAM (30.6).
#   python tools/wsss_pipeline.py configs/pipelines/rcmmam_voc-mini.py
seeds = dict(
    config='configs/rcm_mam/rcmmam-rcm_mobilenet-v2_1xb8-300_wsss-voc-mini-225.py',
    source='cam',
)
# With these exponents, 29 % of the pixels labeled as objects are background, and 3 % of
# those labeled as background are objects (every fourth training image); the CAMs are
# too wide for the published (4, 32).
labels = dict(alphas=(0.7, 16.0), crf=dict(scale_factor=0.5))
affinity = dict(
    config='configs/affinity_net/affinitynet_mobilenet-v2_1xb8-200_wsss-voc-mini-225.py'
)
network = dict(
    config='configs/asdt/retrain/'
    'deeplabv3plus_mobilenet-v2_1xb8-600_sup-asdtmasks-voc-mini-225.py'
)
evaluation = {'plain': {}, 'crf': {'crf': True}}
