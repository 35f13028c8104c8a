"""Kafka: consuming in batches, committing, and producing with confirmed delivery."""
