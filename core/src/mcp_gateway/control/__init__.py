"""The control plane: what operators need of the gateway."""
