"""HTTP in and out: the app, its middleware, who asks, what requests look like, problem replies, routes."""
