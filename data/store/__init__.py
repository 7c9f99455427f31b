"""The artifact store: folders that are complete only with their marker, sharded Zarr inside."""
