"""Pages about models: the lab report (`charrnn report`), and what surprises a model in a text (`charrnn explain`).

Read make.py first: it has parts.py measure everything, and page.py draw it. explain.py is a command of its own, with units.py.
"""
