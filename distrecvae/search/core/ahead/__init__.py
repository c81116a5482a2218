"""What lies ahead of a search: how long it still takes, and what it can be expected to bring."""
