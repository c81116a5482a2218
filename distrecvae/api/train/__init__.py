"""`distrecvae.train`: its settings, its loop, its folder, and folds of users."""
