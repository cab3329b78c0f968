"""What a network is, its parameters, its mathematics in NumPy and compiled. Imports `text`."""
