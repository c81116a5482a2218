"""Numerical work that models share, and the data types it works on; no model is in here."""
