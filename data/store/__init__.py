"""The artifact store: folders that are complete only with their marker. Arrays are stored as sharded Zarr."""
