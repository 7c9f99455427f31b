"""Depth maps: cleaning, separate folders of depth maps, and added noise for studies."""
