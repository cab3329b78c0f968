"""charrnn's own gradients against finite differences, and how far they reach back. Imports `network` and `text`; begin with check.py."""
