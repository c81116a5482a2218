"""What a data set takes over from the one of the day before: choices, users, items."""
