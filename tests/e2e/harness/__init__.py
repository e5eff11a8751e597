"""What the end-to-end tests stand on: clusters, real git clients, plain git http-backend beside it."""
