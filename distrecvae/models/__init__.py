"""Models: one file each, with its configuration, its networks or solver, its loss."""
