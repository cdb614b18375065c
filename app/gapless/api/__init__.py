"""HTTP in and out: the app, its middleware, authentication, request schemas, problem replies and routes."""
