"""The container runtime interface (CRI v1): messages and an asyncio client."""
