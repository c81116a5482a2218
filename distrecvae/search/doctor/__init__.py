"""Checks what a search would find on this machine or cluster, what is wrong with it, and the remedy."""
