"""Living with a search: which there are, how each stands, why a trial ended so, whether it can be reproduced."""
