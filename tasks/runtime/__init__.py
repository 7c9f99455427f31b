"""What the stages share: identity and completeness, the shard engine, training, workers and weights."""
