"""How well a network expects a text, and what its units follow. Imports `network` and `text`."""
