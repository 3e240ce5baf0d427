"""A smaller model cut out of a larger one: an encoder's parts, or a convolution net's channels.

An encoder loses layers, feed-forward neurons and attention heads. That surgery is direct, without
a library that traces dependencies: a neuron is a row of one matrix and a column of the next, a head
the same rows of three matrices and the columns of a fourth, a layer nothing but itself, and the
width between layers never changes. A convolution net loses channels, which hang together over
shortcuts and depthwise convolutions; there torch-pruning's dependency graph says what goes with
what.

Either way the smaller model is made from its own config, of widths that the config can say, and the
chosen slices are copied into it: what comes out loads, saves and exports as any other. A tracer
alone would give layers of widths which no config can say. That the cut is exact is checked each
time against the whole model with the same parts masked.
"""
