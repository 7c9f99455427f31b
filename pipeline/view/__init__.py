"""``depthseed view``: a page in the browser over the artifacts of a run. It writes nothing."""
