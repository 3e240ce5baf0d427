"""Devices that are not this machine: reached, checked, furnished, and asked as any other."""
