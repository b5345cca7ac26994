"""The child: imports a pipeline module under the user's own Python and returns its definition.

It runs alone, never imported by `ci` and never importing it: only the standard library, Python
3.9 and later.
"""
