"""What a data set has to do with the one of the day before: choices, users, items."""
