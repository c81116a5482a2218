"""Systems that were trained elsewhere: their scores of held-out users, read and ranked under this protocol."""
