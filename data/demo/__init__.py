"""The demo data set: RGB-D scenes rendered on this machine."""
