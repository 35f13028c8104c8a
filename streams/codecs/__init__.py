"""Event formats: each codec turns a batch of Kafka records into columns."""
