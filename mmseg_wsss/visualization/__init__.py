"""Panels of images and labels, and plots of training curves."""
