"""The ways in which a table becomes a split, and the steps that they share."""
