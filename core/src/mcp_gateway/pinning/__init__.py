"""Detection of changed tool definitions by pins of the first ones."""
