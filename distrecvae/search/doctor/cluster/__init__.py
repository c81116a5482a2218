"""Finds what is wrong with a cluster's files before they cost anything: Ray's launcher, KubeRay, AWS's policies."""
