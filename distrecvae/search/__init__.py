"""The search: space, settings, ledger, conductor, and what Ray runs of it."""
