"""The numerical work that models share, and the data types that it is done on; no model in here."""
