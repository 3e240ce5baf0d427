"""What Triton's Python backend runs before a model and after it: files that are copied as they are.

Each is the `model.py` of one model; beside it lie `settings.json` and the file of
`deployopt.device.preparing` that does the work, so that it is the one that was measured.
"""
