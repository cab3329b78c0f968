"""charrnn's own gradients against finite differences. Imports `network` and `text`; begin with check.py."""
