# Two-step weak supervision on your own images with image tags: edit the block at the
# top of configs/templates/cam_tags.py; the other two templates read it.
#   python tools/wsss_pipeline.py configs/pipelines/own_images.py
seeds = dict(config='configs/templates/cam_tags.py')
labels = dict(alphas=(4.0, 32.0))
affinity = dict(config='configs/templates/affinitynet_tags.py')
network = dict(config='configs/templates/deeplabv3plus_tags.py')
evaluation = {'plain': {}, 'crf': {'crf': True}}
