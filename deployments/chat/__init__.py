"""Conversations: sessions, the router over several memories, and the gateway to language models. Knows no HTTP."""
