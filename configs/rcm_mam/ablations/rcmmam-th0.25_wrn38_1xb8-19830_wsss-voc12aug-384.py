# Regions at another threshold.
_base_ = '../rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
model = dict(region_thr=0.25)
