"""What is on disk: data-set readers, single files, depth, the artifact store and the rendered demo."""
