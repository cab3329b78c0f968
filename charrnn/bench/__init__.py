"""The compiled kernels against NumPy on this machine. Imports `network` and `text`."""
