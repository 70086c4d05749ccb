"""From a due target to a recorded end: claim, publish, retry, rescue, reconcile."""
