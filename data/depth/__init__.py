"""Depth maps: cleaning, folders of maps, and noise for studies."""
