"""The web page that shows the state in Redis; read-only."""
