# Two-step supervision on your own images with tags, some of them with masks: edit the
# block at the top of configs/templates/camseg_tags-and-masks.py; the other two
# templates read it.
#   python tools/wsss_pipeline.py configs/pipelines/own_images_tags-and-masks.py
seeds = dict(
    config='configs/templates/camseg_tags-and-masks.py',
    source='fused_cam',
)
# Probabilities need lower powers than CAMs.
labels = dict(alphas=(0.5, 4.0))
affinity = dict(config='configs/templates/affinitynet_tags-and-masks.py')
network = dict(config='configs/templates/deeplabv3plus_tags-and-masks.py')
evaluation = {'plain': {}, 'crf': {'crf': True}}
