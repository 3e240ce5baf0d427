"""A processor that is not here: its code under QEMU, from a small Debian of its architecture."""
