"""Published numbers, the data sets and the settings that they belong to."""
