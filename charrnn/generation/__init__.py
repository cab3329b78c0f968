"""Writing text with a network. Imports `network` and `text`."""
