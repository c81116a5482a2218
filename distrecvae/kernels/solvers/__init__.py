"""Solvers of large linear problems: by steps from a starting point, and block by block."""
