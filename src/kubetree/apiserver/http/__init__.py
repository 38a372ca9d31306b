"""From the bytes of a connection to a request, and back: a short way for ordinary requests, aiohttp's for all others."""
