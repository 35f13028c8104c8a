"""What is checked before a worker may begin: config, bundles, Kafka and Redis."""
