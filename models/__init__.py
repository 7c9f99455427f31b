"""Computation on tensors and arrays. Nothing here reads or writes files, and nothing needs luigi."""
