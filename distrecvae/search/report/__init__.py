"""The report of a search: its data read back, its figures, its words, its page."""
