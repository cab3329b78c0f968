"""Training: plan, loop, optimiser state, checkpoints, history. Imports `network`, `text`, `files`, `evaluation`, `generation`."""
