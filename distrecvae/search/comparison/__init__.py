"""Several models under one budget: their searches, the table, its tests of significance."""
