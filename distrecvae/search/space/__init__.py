"""Search spaces: what is searched, in which ranges, and their YAML."""
