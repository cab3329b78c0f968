"""What people look at: pictures, the progress bar, notebooks. Imports `files`, and knows what it shows by
`protocols` alone; matplotlib and tqdm are imported when called."""
