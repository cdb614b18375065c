"""Unit tests of the browser client's parts, in Node's own test runner; sizes and packaging."""
