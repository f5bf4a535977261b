# Ablation (a): one segmentation head on teacher A's labels; classifier, budget and all
# other settings are those of the ASDT run.
_base_ = '../asdt/asdt_mobilenet-v2_1xb8-600_wsss-voc-mini-225.py'
_only_asdt = (
    'teacher_head',
    'crf_b',
    'branch_weights',
    'distill_weight',
    'distill_mode',
    'distill_keep_dense',
    'tag_filter',
    'crf_guide',
)
model = {k: v for k, v in _base_.model.items() if k not in _only_asdt}
model |= dict(_delete_=True, type='RRM')
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'PWMDistillationHook']
