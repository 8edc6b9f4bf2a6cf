"""Finding documents, and telling which of those found are relevant."""
