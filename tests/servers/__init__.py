"""Real servers that tests start on loopback ports: Apache Kafka and Redis."""
