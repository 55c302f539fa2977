"""What the servers offer: listings, snapshots, and where a name leads."""
