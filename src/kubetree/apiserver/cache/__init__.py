"""The watch cache: one Cacher a stored kind, all of them in Caches; implements `apiserver/watch_cache.py` and `apiserver/lister.py`."""

from kubetree.apiserver.cache.cacher import Cacher
from kubetree.apiserver.cache.caches import CacheLister, Caches
from kubetree.apiserver.cache.window import WindowLimits

__all__ = ["CacheLister", "Cacher", "Caches", "WindowLimits"]
