"""What is kept of a training: tensors in files, model folders with their cards, serving from them, export."""
