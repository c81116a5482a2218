"""What a search is about to do: trials laid on machines, memory, storage. No Ray."""
