"""The stages, one Luigi task per file. `tasks.runtime` holds what they share."""
