"""What may be tried again, and what instead: small pure rules that the order manager goes by."""
