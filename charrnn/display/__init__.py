"""What people look at: pictures, the progress bar, notebooks. Imports `files`; matplotlib, tqdm when called."""
