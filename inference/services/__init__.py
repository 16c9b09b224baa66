"""Request, run, queue: what happens to an execution, one transaction each."""
