"""Single files: decoding, label encodings, content hashes and exports. Every failure names the file."""
