"""What a write must become or may not be: upstream's admission plugins, one a file."""
