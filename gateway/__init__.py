"""The GraphQL face of heliograph: it speaks gRPC to the services and holds no state of its own."""
