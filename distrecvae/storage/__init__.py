"""Object stores behind URIs: what lies there, copies of it on this machine, and folders that are mirrored there."""
