"""The exact two-sample Kolmogorov-Smirnov test against a fixed reference."""
