"""Runs `python -m distrecvae.search`, the same as `distrecvae search`."""

from distrecvae.cli import main

main(prog_name="python -m distrecvae.search", command="search")
