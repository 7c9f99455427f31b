"""What the stages share: identity and completeness, the shard engine, training, worker processes and weights."""
