"""Load on whole processes over HTTP, at rising rates, until the objective breaks: `make load`."""
