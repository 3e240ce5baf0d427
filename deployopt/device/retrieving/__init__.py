"""Images and texts that find each other: recall at 1, and what each pair has to do with it."""
