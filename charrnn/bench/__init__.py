"""The compiled kernels against NumPy on this machine: what is compared, the programs, and how. Imports `network`, `text`."""
