"""What lies beside the photos of an export: who took them, what they are, and how to cite them."""
