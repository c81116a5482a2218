"""How a dataset folder lies on disk, table by table."""
