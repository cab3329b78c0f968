"""Pages about models and runs: the lab report (`report`), what surprises a model in a text (`explain`), runs side by side (`compare`).

Read make.py first: plan.py says what a report is to be, parts.py measures everything, page.py draws it. explain.py and compare.py are
pages of their own. Imports what is below `cli`.
"""
