"""Many builds of one call: planned as cells, run by an executor, kept in a journal."""
