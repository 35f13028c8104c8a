"""The pipes: Kafka records, event codecs and Redis windows. Knows nothing of detectors or monitors."""
