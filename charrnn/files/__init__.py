"""Files: written atomically, and the format of models and checkpoints. Imports `errors` and `arguments` alone."""
