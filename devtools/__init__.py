"""Developer tools: nothing here is deployed or part of the package."""
