"""The command line: parse, call, print, return the exit code."""
