"""What lies in a results folder: its description, its tables, its models; and how a search is resumed from one."""
