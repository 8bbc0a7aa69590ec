"""GraphQL over HTTP and WebSocket, on aiohttp."""
