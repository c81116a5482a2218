"""The models, one file each: its configuration, its networks or solver, its loss."""
