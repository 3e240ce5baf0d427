"""The command line: parse, call the API, print, return the exit code. It decides nothing."""
