"""Makes a blend: candidates, what they cost, their weights chosen on validation users, what is written."""
