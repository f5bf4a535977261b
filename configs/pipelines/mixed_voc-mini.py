# Tags and 51 masks of voc-mini (semi_1_4): a random walk propagates the product of a
# network supervised by the masks and a classifier supervised by the tags; another
# network is trained on the result and on the masks. The 154 images without given masks,
# and val, are scored. The tag file is created once, see
# configs/_base_/datasets/voc_mini_tags-and-masks.py; so is the start:
#   python tools/train.py configs/cam/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225.py
#   python tools/wsss_pipeline.py configs/pipelines/mixed_voc-mini.py
seeds = dict(
    config='configs/cam_seg/'
    'camseg-masks_mobilenet-v2_1xb4+4-600_mixed-1-4-voc-mini-225.py',
    source='fused_cam',
    gt_split='test',
)
# Probabilities need lower powers than CAMs.
labels = dict(alphas=(0.5, 4.0), crf=dict(scale_factor=0.5))
affinity = dict(
    config='configs/affinity_net/'
    'affinitynet_mobilenet-v2_1xb4+4-200_mixed-1-4-voc-mini-225.py'
)
network = dict(
    config='configs/asdt/retrain/'
    'deeplabv3plus_mobilenet-v2_1xb8-600_sup-asdtmasks-voc-mini-225.py'
)
evaluation = {'plain': {}, 'crf': {'crf': True}}
