"""The commands of the command line, a module each, and what they share: options, and the folder of a run of `charrnn train`.

Read `charrnn.cli` first, which names them all, then train.py; `report` and `explain` are in charrnn/report, `bench` is charrnn/bench.py.
"""
