"""Draw panels of images and labels, and plot training curves."""
