"""Solvers of large linear problems: in steps from where one stands, and block by block."""
