# Segmentation on CAMs that are cut and not refined; no affinity, no second view.
_base_ = '../tscd/tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py'
model = dict(type='CAMSeg')
