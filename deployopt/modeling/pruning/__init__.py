"""A smaller encoder cut out of a larger one: layers, feed-forward neurons, attention heads.

The surgery is direct, without a library that traces dependencies. Everything that a cut touches in
these encoders is known: a neuron is a row of one matrix and a column of the next, a head the same
rows of three matrices and the columns of a fourth, a layer nothing but itself, and the width
between layers never changes. So the pruned model is made from its own config, of one width for all
layers, and the chosen slices are copied into it: what comes out loads, saves and exports as any
other. A tracer would give layers of different widths, which no config of these families can say.
That the cut is exact is checked each time against the whole model with the same parts masked.
"""
