"""A training run's folder: what is in it, and everything that writes there. Imports `training` and `model`."""
