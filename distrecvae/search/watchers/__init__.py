"""What is told of a search while it runs: the terminal, TensorBoard, trackers, a copy of the study."""
