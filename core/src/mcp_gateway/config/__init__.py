"""Configuration: text in, validated values with chosen plugins out."""
