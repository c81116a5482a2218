"""What lies in a results folder: its description, its tables, its models; and what goes on from one."""
