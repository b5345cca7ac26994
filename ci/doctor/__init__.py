"""Looks for what would fail later, changes nothing, and says how to mend it."""
