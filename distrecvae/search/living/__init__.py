"""Living with a search: what there is, how it stands, why a trial ended so, whether it can be had again."""
