"""The store in AWS: one on-demand DynamoDB table."""
