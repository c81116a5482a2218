"""Search spaces: what is searched, in which ranges, and the YAML that says so."""
