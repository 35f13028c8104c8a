"""Windows, references and decisions in Redis."""
