# RCM + MAM on the MobileNetV2 of the CAM runs; the classifier has no embedding, so RCM
# classifies the last feature map of the backbone.
_base_ = './cam_mobilenet-v2.py'
model = dict(
    type='RCMMAM',
    # Crops of small images are padded a lot.
    mask_padding=True,
    # Scale 2 would take two thirds of the time.
    main_scales=(0.5, 1.0, 1.5),
    support_scales=(0.5, 1.0, 1.5),
    test_cfg=dict(pseudo_sources=['cam', 'region'], predict_tags=True),
)
