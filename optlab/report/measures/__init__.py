"""What sections say in numbers: measured on the evidence, told by nobody yet."""
