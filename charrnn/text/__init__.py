"""Texts as ids: reading files, decoding, vocabularies. Imports `errors` and `arguments` alone."""
