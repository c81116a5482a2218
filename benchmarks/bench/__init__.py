"""RecVAE-Bench: recorded learning curves of RecVAE, surrogates of them, and searches replayed on these."""
