"""Trainings that outlive their process: one loop with checkpoints under runs, refits, trials and seeds."""
