"""Texts as ids: reading files, decoding, vocabularies. Imports `errors`, `arguments` and `files`."""
