"""The MCP door: tools, resources, prompts and completion over MemoryBackend, by streamable HTTP and stdio."""
