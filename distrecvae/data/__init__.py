"""Data: interaction matrices, the split by users, the readers, the prepared dataset folder."""
