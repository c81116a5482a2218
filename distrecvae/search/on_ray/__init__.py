"""All of Ray: the session, what runs in its workers, Tune's loop, and what is private to Ray."""
