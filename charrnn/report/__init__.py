"""Pages about models: the lab report (`charrnn report`), and what surprises a model in a text (`charrnn explain`).

Read make.py first: plan.py says what a report is to be, parts.py measures everything, page.py draws it. explain.py is a page of its own.
Imports what is below `cli`.
"""
