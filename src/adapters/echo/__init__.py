"""The echo family: a provider without a network. It answers with the last user message."""
