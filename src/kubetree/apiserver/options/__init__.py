"""From the command line and files to a checked Config: flags, feature gates, which versions are served."""
