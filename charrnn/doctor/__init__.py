"""What may be wrong with a text before anybody trains on it: `charrnn doctor`, `charrnn.check_text`.

Imports text alone. Nothing here changes a file; whatever the size of a text, it takes bounded memory.
"""
