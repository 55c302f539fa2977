"""Text processing: suggestions, redaction, normalization."""
