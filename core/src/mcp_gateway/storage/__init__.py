"""Use of the storage backend: listings, replicas, fault tolerance."""
