"""A run of `charrnn train`: its request, plan, execution, record and folder, and the proof that resuming it is exact.

Imports what is below `cli`, and knows nothing of command lines.
"""
