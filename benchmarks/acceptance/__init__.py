"""The steps of gpu_acceptance.py: what each runs on the GPU, and what it holds that to."""
