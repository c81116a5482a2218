"""distrecvae: distributed hyperparameter search for RecVAE and the models it was published against."""

__version__ = "0.1.0"
