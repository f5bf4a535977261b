# SCD with AFA's refiner, PAR, in place of VARM.
_base_ = '../tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py'
model = dict(refiner=dict(type='LocalAffinityRefiner', kind='par'))
