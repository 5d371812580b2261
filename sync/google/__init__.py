"""Adapters to Google's services. Vendor nouns and vendor errors stop here."""
