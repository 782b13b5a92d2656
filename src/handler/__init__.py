"""The entry points: HTTP, the Lambda functions and the command line, and the composition root."""
