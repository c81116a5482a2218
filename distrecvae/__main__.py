"""Runs `python -m distrecvae`."""

from distrecvae.cli import main

main(prog_name="python -m distrecvae")
