"""The training schemes, one file each, and the parts they share."""
