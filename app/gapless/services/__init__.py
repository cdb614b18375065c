"""What a request or a Python caller can ask for, without HTTP."""
