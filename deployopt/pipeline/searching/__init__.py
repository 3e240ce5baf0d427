"""The search for the fastest artifact whose accuracy loss is bounded below the budget.

Cheap things first: forms of the whole model, then layers that lose accuracy back to float, then
smaller shapes, timed before they are trained, as latency does not depend on weights. Only shapes
that can meet the latency budget and gain something are taught, for a short time first; those that
promise most go on. Everything is written to a log that alone is enough to go on from.
"""
