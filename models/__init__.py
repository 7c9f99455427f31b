"""Pure computation on tensors and arrays: no file is read or written here, and luigi is not needed."""
