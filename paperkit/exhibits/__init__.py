"""One function per table or figure, and how each becomes files."""
