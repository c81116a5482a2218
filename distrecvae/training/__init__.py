"""Training: the Trainer protocol and `fit`, one file a training scheme, checkpoints, the registry."""
