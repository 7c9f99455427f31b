"""Single files: decoding, label encodings, content hashes and exports. Every error names the file."""
