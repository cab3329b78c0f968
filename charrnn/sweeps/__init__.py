"""Sweeps: many runs of one recipe on any executor, the best by the validation loss.

plan.py says which runs there are, work.py is what an executor is given, results.py and page.py show what came out, make.py does it
all. Imports what is below `cli`.
"""
