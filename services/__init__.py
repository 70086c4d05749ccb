"""What Crier does, without a word of GraphQL or HTTP serving."""
