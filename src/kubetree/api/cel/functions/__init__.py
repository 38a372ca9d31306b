"""The functions of the language, a library a module: declarations for the checker beside what runs."""
