"""What is done to an input before the model and to its answer after: files that stand alone.

Each imports numpy or tokenizers and nothing of this package, so that `export --as triton` can put
it beside a model as it is: what another server does is then what was measured, by the same lines.
"""
