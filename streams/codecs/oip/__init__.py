"""Format ``oip``: requests and responses of the Open Inference Protocol."""
