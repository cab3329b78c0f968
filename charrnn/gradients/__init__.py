"""Whether gradients are right: charrnn's own (check.py), and other people's, with the likely mistake named (own.py).

Read check.py first; for other people's gradients mistakes.py, the table of what goes wrong in backprop-through-time, and then own.py.
"""
