"""Words for people: suggestions and redaction."""
