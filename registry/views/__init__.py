"""The pages of the registry: parse, ask a selector or a service, render."""
