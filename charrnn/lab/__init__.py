"""Other people's gradients: what is wrong with them, and where. Imports `gradients`; begin with mistakes.py, then check.py."""
