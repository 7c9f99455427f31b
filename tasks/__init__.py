"""The stages, one Luigi task a file, in the order of the DAG."""
