"""Images from texts: a pipeline of three graphs and the loop between them, in numpy."""
