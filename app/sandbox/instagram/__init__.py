"""Instagram's publishing API: containers are made, polled and published, and published media read."""
