"""The ways of training, one file a way, and the parts they are made of."""
