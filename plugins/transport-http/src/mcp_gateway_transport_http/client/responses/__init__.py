"""What a server's response means: codings, events, messages, refusals."""
